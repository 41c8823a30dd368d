/** `shoal/worker`: the Web Worker that a `Contributor` computes in, whole in one file, for a page to serve. */
import { startWorker } from '../worker/start-worker.ts';
import { SHADERS } from './packed-shaders.ts';

startWorker(async () => SHADERS);
