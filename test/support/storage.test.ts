import { expect, test } from 'vitest';
import { call } from './call.ts';
import { digestOf } from './digest.ts';
import { makeImage } from './image.ts';
import { startRegistry } from './registry.ts';
import { startStorage } from './storage.ts';

test('blobs are fetched from storage by redirect, in whole and in part, and without authentication', async () => {
  await using storage = await startStorage();
  await using registry = await startRegistry({ redirectBlobs: storage.publish });
  const digest = registry.seed('team/app', makeImage()).layers[0] ?? '';
  const { status, headers } = await call(`${registry.origin}/v2/team/app/blobs/${digest}`);
  expect(status).toBe(307);
  const url = headers.location ?? '';
  const whole = await call(url);
  expect(digestOf(whole.body)).toBe(digest);
  const part = await call(url, { headers: { range: 'bytes=10-19' } });
  expect(part).toMatchObject({ status: 206, body: whole.body.subarray(10, 20) });
  expect(await call(url, { headers: { authorization: 'Bearer token' } })).toMatchObject({ status: 400 });
  expect(await call(url.replace(/\?.*/, ''))).toMatchObject({ status: 403 });
  expect(storage.requests.map((request) => request.status)).toEqual([200, 206, 400, 403]);
});
