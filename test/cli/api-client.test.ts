import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { fetchStatus } from '../../src/cli/api-client.ts';
import { loadCertificate } from '../../src/server/tls.ts';

it('tells a certificate that is not trusted from a server that is not there', async () => {
  const server = createServer({ ...(await loadCertificate({ kind: 'self-signed' }, '127.0.0.1')) });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const status = () =>
    fetchStatus({ baseUrl: `https://127.0.0.1:${port}`, fetch }, new AbortController().signal);
  await expect(status()).rejects.toMatchObject({
    code: 'BACKEND_FAILED',
    message: expect.stringMatching(/certificate is not trusted \(\w+\).*NODE_EXTRA_CA_CERTS/),
  });
  await new Promise((resolve) => server.close(resolve));
  await expect(status()).rejects.toMatchObject({
    code: 'BACKEND_FAILED',
    message: expect.stringContaining('is the server running there?'),
  });
});
