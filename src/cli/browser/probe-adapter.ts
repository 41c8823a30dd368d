import type { Page } from 'puppeteer-core';
import { BROWSER_START_MS, MIB } from '../../config/limits.ts';

export interface ProbedAdapter {
  /** For people: the maker's name of it, as far as the browser tells. */
  readonly name: string;
  readonly isSoftware: boolean;
  readonly hasF16: boolean;
  readonly maxBufferMib: number;
}

/**
 * The adapter that this browser's pages get, or null. WebGPU exists only in a secure context, so the probe answers a request to
 * an https address of its own itself.
 */
export async function probeAdapter(page: Page): Promise<ProbedAdapter | null> {
  await page.setRequestInterception(true);
  page.on(
    'request',
    (request) => void request.respond({ contentType: 'text/html', body: '<title>probe</title>' }),
  );
  await page.goto('https://adapter-probe.localhost/', { timeout: BROWSER_START_MS });
  const found = await page.evaluate(async () => {
    const adapter = await navigator.gpu?.requestAdapter();
    if (adapter == null) return null;
    const { vendor, architecture, description, isFallbackAdapter } = adapter.info;
    return {
      parts: [vendor, architecture, description],
      isFallback: isFallbackAdapter,
      hasF16: adapter.features.has('shader-f16'),
      maxBufferBytes: adapter.limits.maxBufferSize,
    };
  });
  if (found === null) return null;
  const name = found.parts.filter((part) => part !== '').join(' ') || 'an unnamed adapter';
  return {
    name,
    // Chrome does not call SwiftShader a fallback when it was asked for by a flag.
    isSoftware: found.isFallback || /swiftshader|llvmpipe|lavapipe|\bwarp\b/i.test(name),
    hasF16: found.hasF16,
    maxBufferMib: Math.round(found.maxBufferBytes / MIB),
  };
}
