import { signal } from '@preact/signals';

/** The id the server gave this tab when it joined: what is marked "you". Null while it lends nothing. */
export const ownPeer = signal<string | null>(null);
