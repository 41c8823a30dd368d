/** Waits, an event-loop turn at a time, until `reached`; the test's own timeout bounds it. */
export async function until(reached: () => boolean): Promise<void> {
  while (!reached()) await new Promise((resolve) => setTimeout(resolve, 2));
}
