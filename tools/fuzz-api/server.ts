/** The server's whole HTTP on a real socket, in front of the native engine's API with a scripted generator: no GPU, no wait. */
import type { AddressInfo } from 'node:net';
import { createFxnBackend } from '../../src/backend/fxn/fxn.ts';
import type { GenerateEvent, GenerateRequest } from '../../src/backend/fxn/generator.ts';
import { ShoalError } from '../../src/config/errors.ts';
import { createHttpServer, listen } from '../../src/server/http/http-server.ts';
import { nativeApp } from '../../test/server/native-app.ts';
import { FakeGenerator, fails, says } from '../../test/support/fake-generator.ts';
import { fakeModel } from '../../test/support/fake-model.ts';

/** Mostly an answer; with some seeds the failures that the description promises, before and in the answer. */
function script(request: GenerateRequest, signal: AbortSignal): AsyncIterable<GenerateEvent> {
  const { seed } = request.sampling;
  if (seed % 31 === 7) return fails(new ShoalError('NO_PIPELINE', 'no worker is there'))(request, signal);
  if (seed % 31 === 8) return fails(new ShoalError('PIPELINE_LOST', 'gone'), 'He')(request, signal);
  if (seed % 31 === 9) return fails(new ShoalError('OVERLOADED', 'too many'))(request, signal);
  return says('Hello there, Zoë 🐟. The end')(request, signal);
}

const backend = createFxnBackend({
  generator: new FakeGenerator(script),
  model: fakeModel,
  readiness: () => ({ ready: true, detail: 'serving a script' }),
});
const server = createHttpServer(nativeApp(backend).app, null);
await listen(server, 0, '127.0.0.1');
console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
