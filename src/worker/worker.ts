/** The Web Worker of the page that a Shoal server hands out. */
import { fetchShaders } from '../gpu/shaders.ts';
import { startWorker } from './start-worker.ts';

startWorker((signal) => fetchShaders(new URL('/', location.href), fetch, signal));
