/** A block of an answer in the page: what is safe of its HTML, with what a reader needs to use it. */
import DOMPurify, { type Config } from 'dompurify';
import { copyButton } from './copy-text.ts';

/** What `blockHtml` makes; whatever else a model might smuggle in is dropped. */
const ALLOWED = {
  ALLOWED_TAGS:
    'p br hr h3 h4 h5 h6 ul ol li blockquote pre code em strong del a span table thead tbody tr th td'.split(
      ' ',
    ),
  ALLOWED_ATTR: ['href', 'title', 'align', 'start', 'class', 'role', 'aria-label'],
  /** Nothing of this server's own: a link in an answer leads out. */
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  /** Read as URIs otherwise, and dropped. */
  ADD_URI_SAFE_ATTR: ['align', 'start'],
  RETURN_DOM_FRAGMENT: true,
} satisfies Config & { RETURN_DOM_FRAGMENT: true };

export function fillBlock(box: HTMLElement, html: string): void {
  const content = DOMPurify.sanitize(html, ALLOWED);
  for (const link of content.querySelectorAll('a[href]')) {
    link.setAttribute('target', '_blank');
    link.setAttribute('rel', 'noopener noreferrer');
  }
  for (const pre of content.querySelectorAll('pre')) furnishCode(pre);
  for (const table of content.querySelectorAll('table')) wrap(table, scrollBox('Table'));
  for (const box of content.querySelectorAll('li > .box, li > p > .box'))
    box.closest('li')?.classList.add('task');
  box.replaceChildren(content);
}

/** Focusable, so that it can be scrolled without a mouse. */
function scrollBox(label: string): HTMLElement {
  const box = document.createElement('div');
  box.className = 'scroll';
  reachable(box, label);
  return box;
}

function reachable(element: HTMLElement, label: string): void {
  element.tabIndex = 0;
  element.setAttribute('role', 'group');
  element.setAttribute('aria-label', label);
}

function furnishCode(pre: HTMLPreElement): void {
  const code = pre.querySelector('code');
  const language = /(?:^|\s)language-(\S+)/.exec(code?.className ?? '')?.[1] ?? '';
  // Code reads from the left in a text of any direction.
  pre.dir = 'ltr';
  reachable(pre, language === '' ? 'Code' : `Code, ${language}`);
  const frame = document.createElement('div');
  frame.className = 'code';
  frame.dir = 'ltr';
  const head = document.createElement('div');
  head.className = 'code-head';
  const name = document.createElement('span');
  name.textContent = language || 'code';
  head.append(
    name,
    copyButton('Copy code', () => (pre.textContent ?? '').replace(/\n$/, '')),
  );
  wrap(pre, frame);
  pre.before(head);
}

function wrap(inner: Element, frame: HTMLElement): void {
  inner.replaceWith(frame);
  frame.append(inner);
}
