/** Reads prompts: chat templates and tokenizing, which may take seconds for what a client sends. */
import { parentPort, workerData } from 'node:worker_threads';
import { openPromptThread } from '../backend/fxn/prompt-thread.ts';
import { serveJobs } from '../backend/threads/serve-jobs.ts';

await serveJobs(parentPort!, () => openPromptThread(workerData));
