import { type MeshSettings, MeshUnderTest } from './mesh-under-test.ts';

const PROMPTS = [
  'Once upon a time',
  'The capital of France is',
  'What is the opposite of cold?',
  '17 + 25 =',
  'Monday, Tuesday,',
  'My name is',
  'The symbol of gold is',
  'Tell me a story about a fox.',
  'In the morning the little boat',
  'A, B, C,',
];

export interface WireResult {
  readonly prompts: number;
  readonly tokens: number;
  /** Greedy texts that f16 and f32 wires give alike, whole. */
  readonly identical: number;
  /** Characters before the first difference, as a share of the text; 1 where there is none. Mean over the prompts. */
  readonly meanCommonShare: number;
}

/** What rounding every layer's output to f16 does to greedy texts, against the f32 wire in the same run. */
export async function measureWire(settings: Omit<MeshSettings, 'wire'>, tokens: number): Promise<WireResult> {
  const texts = {
    f32: await textsOver('f32', settings, tokens),
    f16: await textsOver('f16', settings, tokens),
  };
  const shares = texts.f32.map((text, i) => commonShare(text, texts.f16[i] ?? ''));
  return {
    prompts: PROMPTS.length,
    tokens,
    identical: shares.filter((share) => share === 1).length,
    meanCommonShare: shares.reduce((sum, share) => sum + share, 0) / shares.length,
  };
}

async function textsOver(
  wire: MeshSettings['wire'],
  settings: Omit<MeshSettings, 'wire'>,
  tokens: number,
): Promise<string[]> {
  const mesh = await MeshUnderTest.start({ ...settings, wire });
  try {
    const answers = await Promise.all(PROMPTS.map((prompt) => mesh.complete(prompt, tokens)));
    return answers.map(({ text }) => text);
  } finally {
    await mesh.close();
  }
}

function commonShare(a: string, b: string): number {
  const length = Math.max(a.length, b.length);
  let same = 0;
  while (same < length && a[same] === b[same]) same++;
  return length === 0 ? 1 : same / length;
}
