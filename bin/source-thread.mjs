// A worker thread of a checkout: runs the TypeScript module that is its argument (src/config/installation.ts).
import { register } from 'tsx/esm/api';

register();
await import(process.argv[2] ?? '');
