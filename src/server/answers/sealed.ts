/**
 * Bytes at rest: AES-256-GCM, so that who reads the disk reads nothing, and what was changed, cut or moved to another name does not open.
 *
 *   8 bytes `SHOALST1` | 12 bytes nonce | ciphertext | 16 bytes tag
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const MAGIC = Buffer.from('SHOALST1');
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export const SEAL_BYTES = MAGIC.length + NONCE_BYTES + TAG_BYTES;

/**
 * @param key 32 bytes
 * @param name that it opens under
 */
export function seal(key: Uint8Array, name: string, plain: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(name));
  return Buffer.concat([MAGIC, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** @throws Error, saying what is wrong */
export function unseal(key: Uint8Array, name: string, sealed: Uint8Array): Buffer {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  if (bytes.length < SEAL_BYTES)
    throw new Error(`it has ${bytes.length} bytes, a sealed one at least ${SEAL_BYTES}`);
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error('it is not a sealed file of Shoal’s');
  const nonce = bytes.subarray(MAGIC.length, MAGIC.length + NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(name)).setAuthTag(bytes.subarray(-TAG_BYTES));
  const body = bytes.subarray(MAGIC.length + NONCE_BYTES, -TAG_BYTES);
  try {
    return Buffer.concat([decipher.update(body), decipher.final()]);
  } catch (cause) {
    throw new Error('it was sealed with another key, or is damaged', { cause });
  }
}
