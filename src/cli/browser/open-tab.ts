import type { Page } from 'puppeteer-core';

/** What the page listens for, opened with `auto=1` (src/page/contribute.tsx). */
const LEAVE_EVENT = 'shoal-leave';

/** A tab that is open, and how it is asked to leave. */
export class OpenTab {
  readonly #page: Page;
  readonly #ended: Promise<void>;
  #end: () => void = () => {};

  constructor(page: Page) {
    this.#page = page;
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** It says that it has left, or it is gone. */
  left(): void {
    this.#end();
  }

  /** Resolves when it has left; a page that cannot be asked any more has. */
  async leave(): Promise<void> {
    this.#page.evaluate((type) => void dispatchEvent(new Event(type)), LEAVE_EVENT).catch(() => this.left());
    await this.#ended;
  }
}
