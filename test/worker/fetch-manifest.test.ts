import { describe, expect, it } from 'vitest';
import { MAX_MANIFEST_BYTES } from '../../src/config/limits.ts';
import { shardTensors } from '../../src/model/tensors.ts';
import { fetchManifest } from '../../src/worker/fetch-manifest.ts';
import { FAKE_SPEC } from './fake-engine.ts';

const URL = 'http://server:1/models/fake/manifest?start=0';
const SHARD = { start: 2, end: 3, embedding: false, head: false };
const manifest = {
  version: 1,
  model: 'fake',
  spec: FAKE_SPEC,
  tensors: Object.fromEntries(
    shardTensors(FAKE_SPEC, SHARD).map(({ name, shape }) => [
      name,
      { file: 'model.safetensors', start: 0, end: 4, dtype: 'F32', shape, sha256: 'a'.repeat(64) },
    ]),
  ),
};

const load = (response: () => Response | Promise<Response>, signal = new AbortController().signal) =>
  fetchManifest(URL, SHARD, async () => response(), signal);

describe('fetchManifest', () => {
  it('gives the manifest of the shard', async () => {
    expect(await load(() => Response.json(manifest))).toEqual(manifest);
  });

  it.each([
    ['an error of the server', () => new Response('no', { status: 404 }), /answered 404/],
    ['a page instead', () => new Response('<!doctype html>'), /not one/],
    ['another version', () => Response.json({ ...manifest, version: 2 }), /version/],
    ['no end', () => new Response('x'.repeat(MAX_MANIFEST_BYTES + 1)), /larger than/],
  ])('refuses %s', async (_name, response, message) => {
    await expect(load(response)).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringMatching(message),
    });
  });

  it('refuses one that lacks a tensor, and one of another shard', async () => {
    const [first, ...rest] = Object.entries(manifest.tensors);
    const lacking = { ...manifest, tensors: Object.fromEntries(rest) };
    await expect(load(() => Response.json(lacking))).rejects.toMatchObject({ code: 'TENSOR_MISSING' });
    const reshaped = {
      ...manifest,
      tensors: { ...manifest.tensors, [first![0]]: { ...first![1], shape: [1] } },
    };
    await expect(load(() => Response.json(reshaped))).rejects.toMatchObject({ code: 'TENSOR_SHAPE' });
  });

  it('is stopped by its signal', async () => {
    const stop = new AbortController();
    const loading = load(() => {
      stop.abort();
      throw new DOMException('aborted', 'AbortError');
    }, stop.signal);
    await expect(loading).rejects.toMatchObject({ code: 'ABORTED' });
  });
});
