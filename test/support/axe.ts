import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import type { Page } from 'puppeteer-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe-core finds on the page as it is now. */
export async function axeFaults(page: Page): Promise<string[]> {
  // Not as a script of the page: its content security policy takes none from elsewhere.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(async () => {
    // Colours of what is still being faded in would be judged in between; what pulses for ever is not waited for.
    const fading = document
      .getAnimations()
      .filter((animation) => animation.effect?.getTiming().iterations !== Number.POSITIVE_INFINITY);
    await Promise.all(fading.map((animation) => animation.finished.catch(() => {})));
    return (window as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run();
  });
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${help}\n${html}\n${failureSummary}`),
  );
}
