/** The server of the bench, of the checkout that is the current folder: as `shoal` starts it, with its loop watched from within. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { watchLoop } from './loop-watch.mjs';

const stretch = watchLoop();
process.on('message', () => process.send?.(stretch()));
// The server may end although the bench could still ask.
process.channel?.unref();
await import(pathToFileURL(resolve('bin/shoal.mjs')).href);
