import { describe, expect, it } from 'vitest';
import { blockHtml, lexBlocks } from '../../../src/page/chat/markdown.ts';

const html = (text: string) => {
  const { blocks, links } = lexBlocks(text);
  return blocks.map(({ raw }) => blockHtml(raw, links)).join('');
};

describe('what a model writes', () => {
  it.each([
    '<img src=x onerror=alert(1)>',
    '<script>alert(1)</script>',
    'a <b onclick="x()">word</b>',
    '<details>\n<summary>s</summary>\n\nx\n\n</details>',
    '- <iframe src=//evil>',
    '> <svg/onload=x()>',
    '| <img src=x> |\n|---|\n| <style>*{}</style> |',
    '<!-- a comment -->',
  ])('is text where it is raw HTML: %j', (text) => {
    expect(html(text)).not.toMatch(/<(?:(?:img|script|b|details|summary|iframe|svg|style)\b|!--)/);
    expect(html(text)).toContain('&lt;');
  });

  it('breaks a line at <br>, which tables need', () => {
    expect(html('| a<br>b<BR/>c |\n|---|')).toContain('a<br>b<br>c');
  });

  it('loads no image: it is a link', () => {
    expect(html('![a *cat*](https://example.org/c.png "t")')).toBe(
      '<p><a href="https://example.org/c.png">a cat</a></p>\n',
    );
    expect(html('[![CI](https://example.org/badge.svg)](https://example.org/ci "t & u")')).toBe(
      '<p><a href="https://example.org/ci" title="t &amp; u">CI</a></p>\n',
    );
    expect(html('![](https://example.org/?a=1&b="2")')).not.toMatch(/<img|"2"/);
  });

  it('has boxes for tasks', () => {
    const boxes = html('- [x] a\n- [ ] b').match(/aria-label="[^"]+"/g);
    expect(boxes).toEqual(['aria-label="done"', 'aria-label="to do"']);
  });

  it('has headings below those of the page', () => {
    expect(html('# a\n\n## b\n\n### c\n\n###### d').match(/<h\d/g)).toEqual(['<h3', '<h3', '<h4', '<h6']);
  });

  it('has emphasis that is bounded: what is all stars and underscores is text at its end', () => {
    expect(html('*a* '.repeat(400)).match(/<em>/g)).toHaveLength(400);
    // Each of the stars is looked at once, those that are no emphasis too.
    const stars = html('*_a '.repeat(3_000));
    expect(stars).toContain('*_a');
    expect(html(`${'*_a '.repeat(1_000)}*b*`)).toMatch(/\*b\*<\/p>/);
  });
});

describe('what would take marked too long, or too deep', () => {
  it.each([
    ['quotes in quotes', '>'.repeat(20_000)],
    ['lists in lists', '1. '.repeat(20_000)],
  ])('is shown as it is: %s', (_, text) => {
    expect(lexBlocks(text).blocks.map(({ raw }) => raw)).toEqual([text]);
    expect(html(text)).toBe(`<p>${text.trimEnd().replaceAll('>', '&gt;')}</p>`);
  });

  it('is a run of letters, or of spaces, and no code', () => {
    const run = '_a'.repeat(3_000);
    expect(html(`**x** ${run}`)).toBe(`<p>**x** ${run}</p>`);
    expect(html(`<b>\n${run}`)).toBe(`<p>&lt;b&gt;<br>${run}</p>`);
    expect(html(`**x**${' '.repeat(5_000)}b`)).toContain('**x**');
    expect(html(`\`\`\`\n${run}\n\`\`\`\n`)).toContain(`<pre><code>${run}`);
    expect(html('**x** a long text. '.repeat(1_000))).toContain('<strong>x</strong>');
  });
});
