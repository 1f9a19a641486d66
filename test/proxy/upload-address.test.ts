import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ephemeralSealingKeys, type SealingKeys } from '../../platform/sealing-keys.ts';
import { openUpload, sealUpload, withCallersQuery } from '../../proxy/upload-address.ts';
import { resolvedConnector } from './support/resolved-connector.ts';

const keys = ephemeralSealingKeys();
const now = 1_800_000_000_000;
const connector = resolvedConnector('https://registry.example.com');
const url = new URL('https://uploads.example.com/v2/x?_state=a%2Fb&sig=%7e+');
const sealed = sealUpload({ connector, repository: 'team/app', url }, keys, now);
const open = (text: string, at = now, opener: SealingKeys = keys) =>
  openUpload(text, connector, 'team/app', opener, at);

describe('an upload’s address', () => {
  test('comes back as it was, from any process with the key', async () => {
    const other: SealingKeys = { current: ephemeralSealingKeys().current, find: (id) => keys.find(id) };
    expect((await open(sealed, now, other)).href).toBe(url.href);
  });

  test('is a path component that says nothing, and another one each time', () => {
    expect(sealed).toMatch(/^[A-Za-z0-9_.-]+$/);
    expect(Buffer.from(sealed.split('.')[1] ?? '', 'base64url').toString('latin1')).not.toContain('example');
    expect(sealUpload({ connector, repository: 'team/app', url }, keys, now)).not.toBe(sealed);
  });

  test('is good for a day', async () => {
    await expect(open(sealed, now + 24 * 3_600_000 - 1000)).resolves.toBeDefined();
    await expect(open(sealed, now + 24 * 3_600_000)).rejects.toMatchObject({ code: 'UPLOAD_UNKNOWN' });
  });

  test.each([
    ['another repository', () => openUpload(sealed, connector, 'team/other', keys, now)],
    ['another connector', () => openUpload(sealed, { ...connector, uid: 'other' }, 'team/app', keys, now)],
    [
      'another registry',
      () => openUpload(sealed, resolvedConnector('https://other.example.com'), 'team/app', keys, now),
    ],
    ['a key that is gone', () => open(sealed, now, ephemeralSealingKeys())],
  ])('is unknown to %s', async (_whom, opened) => {
    await expect(opened()).rejects.toMatchObject({ code: 'UPLOAD_UNKNOWN', status: 404 });
  });

  test('that was changed anywhere is unknown', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(sealed.length - 1), fc.constantFrom(...'Aab9-_.'), async (position, character) => {
        fc.pre(sealed[position] !== character);
        const changed = sealed.slice(0, position) + character + sealed.slice(position + 1);
        // The last character of base64 has bits that mean nothing.
        fc.pre(Buffer.from(changed, 'base64url').compare(Buffer.from(sealed, 'base64url')) !== 0);
        await expect(open(changed)).rejects.toMatchObject({ code: 'UPLOAD_UNKNOWN' });
      }),
    );
  });

  test('that nobody made is unknown, whatever it is', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), async (text) => {
        for (const candidate of [text, `${keys.current.id}.${Buffer.from(text).toString('base64url')}`]) {
          await expect(open(candidate)).rejects.toMatchObject({ code: 'UPLOAD_UNKNOWN' });
        }
      }),
    );
  });

  test('is looked for once more where its key is not known yet', async () => {
    const late = { isKnown: false };
    const learning: SealingKeys = {
      current: keys.current,
      find: (id) => (late.isKnown ? keys.find(id) : undefined),
      refresh: async () => {
        late.isKnown = true;
      },
    };
    await expect(open(sealed, now, learning)).resolves.toBeDefined();
  });

  test('of the registry that is too long is an error of the registry’s', () => {
    const long = new URL(`https://registry.example.com/?${'a'.repeat(10_000)}`);
    expect(() => sealUpload({ connector, repository: 'team/app', url: long }, keys, now)).toThrow('too long');
  });
});

describe('a caller’s query', () => {
  test.each([
    ['is added to none', 'https://r/x', '?digest=sha256:a', 'https://r/x?digest=sha256:a'],
    [
      'is added to the registry’s',
      'https://r/x?s=%2F+%7e',
      '?digest=sha256%3Aa',
      'https://r/x?s=%2F+%7e&digest=sha256%3Aa',
    ],
    ['replaces nothing', 'https://r/x?_state=1', '?_state=2&digest=d&%5Fstate=3', 'https://r/x?_state=1&digest=d'],
    ['may be none', 'https://r/x?s=1', '', 'https://r/x?s=1'],
  ])('%s', (_what, address, query, expected) => {
    expect(withCallersQuery(new URL(address), query).href).toBe(expected);
  });
});
