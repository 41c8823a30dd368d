/** Which adapter headless Chrome should offer. `auto` is settled by trying `vulkan` where a GPU is there, then `software`. */
export const GPU_MODES = ['auto', 'software', 'vulkan'] as const;
export type GpuMode = (typeof GPU_MODES)[number];

export interface ChromeArguments {
  readonly gpu: Exclude<GpuMode, 'auto'>;
  readonly platform: NodeJS.Platform;
  /** Renderers without Chrome's sandbox: needed as root, and in containers without user namespaces. */
  readonly sandbox: boolean;
  /** Takes any TLS certificate: for a server with a self-signed one. */
  readonly insecure: boolean;
  /** Takes a certificate with this public key too: base64 of the SHA-256 of its SPKI. */
  readonly trustedKey?: string;
  readonly tabs: number;
}

/** Command-line flags of a browser that computes for Shoal; puppeteer adds its own and merges the feature lists. */
export function chromeArguments({
  gpu,
  platform,
  sandbox,
  insecure,
  trustedKey,
  tabs,
}: ChromeArguments): string[] {
  const flags = [
    // Without it headless Chrome on Linux offers no adapter at all; elsewhere it changes nothing.
    '--enable-unsafe-webgpu',
    // A worker's tab is never in front: no 1/s timers, no lowered priority.
    '--disable-background-timer-throttling',
    '--disable-renderer-backgrounding',
    '--disable-backgrounding-occluded-windows',
    // mDNS names of host candidates do not resolve in containers; a machine without a network has only loopback.
    '--disable-features=WebRtcHideLocalIpsWithMdns,ProcessPerSiteUpToMainFrameThreshold',
    '--allow-loopback-in-peer-connection',
    // Beyond this many Chrome puts tabs of one site into one process, where one crash takes several.
    `--renderer-process-limit=${tabs + 4}`,
    '--disable-component-update',
    '--disable-quic',
    '--no-default-browser-check',
  ];
  if (gpu === 'vulkan' && platform === 'linux') {
    flags.push(
      '--enable-features=Vulkan',
      '--use-angle=vulkan',
      '--disable-vulkan-surface',
      // Chrome hides shader-f16 on NVIDIA under Linux otherwise.
      '--enable-dawn-features=vulkan_enable_f16_on_nvidia',
    );
  }
  if (!sandbox) flags.push('--no-sandbox');
  if (insecure) flags.push('--ignore-certificate-errors');
  // Only with a --user-data-dir, which puppeteer always gives.
  if (trustedKey !== undefined) flags.push(`--ignore-certificate-errors-spki-list=${trustedKey}`);
  return flags;
}
