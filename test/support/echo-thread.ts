/** A thread that answers with what it was started with, and with what it imports from src. */
import { parentPort, workerData } from 'node:worker_threads';
import { DEFAULT_MODEL_ID } from '../../src/config/catalogue.ts';

parentPort!.postMessage({ workerData, imported: DEFAULT_MODEL_ID });
