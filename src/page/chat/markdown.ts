import DOMPurify from 'dompurify';
import { marked } from 'marked';

/**
 * Model output as safe HTML. The model may write anything, so nothing but text formatting survives:
 * no images (they would tell a third party that the answer was read), no styles, no forms.
 */
export function renderMarkdown(text: string): string {
  const html = marked.parse(text, { async: false, gfm: true, breaks: true });
  return DOMPurify.sanitize(html, {
    FORBID_TAGS: [
      'img',
      'picture',
      'video',
      'audio',
      'iframe',
      'form',
      'input',
      'button',
      'style',
      'svg',
      'math',
    ],
    FORBID_ATTR: ['style'],
  });
}
