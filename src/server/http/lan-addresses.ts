import { networkInterfaces } from 'node:os';

/** Addresses of this machine that others may reach, without loopback and link-local ones. */
export function lanAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
    .map(({ address }) => address);
}
