/** What often lies where a file of a model should be: a pointer to it, a web page about it, nothing, another format. */

/** Bytes of a file's beginning that tell. */
export const STAND_IN_BYTES = 512;

/** By how a file begins; each sentence goes behind the file's name. The first that fits. */
const STAND_INS: readonly (readonly [beginning: RegExp | string, what: string])[] = [
  [
    /^version https:\/\/(?:git-lfs|hawser)\.github\.com\/spec\//,
    'is a git-lfs pointer, which a clone without git-lfs leaves in the place of the file; in the clone run: git lfs install && git lfs pull',
  ],
  [
    /^# xet version/,
    'is a Xet pointer, which a clone without git-xet leaves in the place of the file; fetch the file itself, e.g. with: hf download',
  ],
  [
    /^(?:\.\.\/)*(?:\.git|\/)?\/?annex\/objects\//,
    'is a git-annex pointer, not the file; in the clone run: git annex get .',
  ],
  [
    /^\s*<(?:!doctype html|html|head|\?xml|error)\b/i,
    'is a web page or an error of a server, saved in the place of the file; download it again, from a link with /resolve/ in it, and with a token where the model needs one',
  ],
  [
    /^(?:Entry not found|Repository not found|Invalid (?:username|credentials)|Access to model|Not Found|404)/i,
    'is the error text of a server, saved in the place of the file; download it again, with a token where the model needs one',
  ],
  ['GGUF', 'is a GGUF file, which is not read; safetensors is needed'],
  ['PK\u0003\u0004', 'is a PyTorch file (.bin), which is not read; save_pretrained writes safetensors'],
  ['\u001f\u008b', 'is compressed (gzip); unpack it'],
];

/**
 * @param beginning the first STAND_IN_BYTES, or all where there are fewer
 * @returns what the file is instead, and what to do; null where it may be what it should
 */
export function standIn(beginning: Uint8Array): string | null {
  if (beginning.length === 0) return 'is empty, as an interrupted download leaves it; download it again';
  // Latin-1: every byte is a character.
  const text = String.fromCharCode(...beginning.subarray(0, STAND_IN_BYTES)).replace(UTF8_MARK, '');
  if (beginning.every((byte) => byte === 0)) {
    return 'begins with zeros, as an interrupted download leaves it; download it again';
  }
  const found = STAND_INS.find(([start]) =>
    typeof start === 'string' ? text.startsWith(start) : start.test(text),
  );
  return found?.[1] ?? null;
}

/** As Latin-1 shows it. */
const UTF8_MARK = /^\xef\xbb\xbf/;
