const SAID_MS = 2_000;

/** A button that copies what `text` gives at that moment, and says whether it did. */
export function copyButton(label: string, text: () => string): HTMLButtonElement {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'copy';
  button.textContent = 'Copy';
  button.setAttribute('aria-label', label);
  button.addEventListener('click', async () => {
    const said = (await copyText(text())) ? 'Copied' : 'Could not copy';
    button.textContent = said;
    button.setAttribute('aria-label', said);
    setTimeout(() => {
      button.textContent = 'Copy';
      button.setAttribute('aria-label', label);
    }, SAID_MS);
  });
  return button;
}

/** @returns whether it did */
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelection(text);
  }
}

/** Without a secure context (a server of the local network over http) there is no clipboard API. */
function copySelection(text: string): boolean {
  const before = document.activeElement;
  const box = document.createElement('textarea');
  box.className = 'unseen';
  box.value = text;
  document.body.append(box);
  box.select();
  const copied = document.execCommand('copy');
  box.remove();
  if (before instanceof HTMLElement) before.focus();
  return copied;
}
