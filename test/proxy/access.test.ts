import { describe, expect, test } from 'vitest';
import { buildCatalogue } from '../../connectors/catalogue.ts';
import type { GrantSource } from '../../credentials/grant.ts';
import { type AccessWant, admissionKey, localAccess } from '../../proxy/access.ts';
import type { CallerSource, KnownCaller } from '../../proxy/caller.ts';
import { connectorOf, withSecret } from '../connectors/documents.ts';

const { signal } = new AbortController();
const origin = { address: '10.0.0.1', node: 'n1' };
const grants: GrantSource = { grant: async () => ({ kind: 'anonymous' }) };
const store = { catalogue: buildCatalogue([connectorOf(), connectorOf(withSecret('none'), { name: 'broken' })]) };

function arrange(may: KnownCaller['may']) {
  const asked: unknown[] = [];
  const callers: CallerSource = {
    identify: async (token, from) => {
      asked.push([token, from]);
      return token === 'known' ? { name: 'demo', may } : undefined;
    },
  };
  return { asked, access: localAccess({ store, callers, grants }) };
}

const want = (more: Partial<AccessWant> = {}): AccessWant => ({
  token: 'known',
  origin,
  connector: { namespace: 'demo', name: 'harbor' },
  repository: 'team/app',
  action: 'pull',
  ...more,
});

test('who is known and may is let in, with the connector as it is now', async () => {
  const { access, asked } = arrange(() => true);
  const admission = await access.admit(want(), signal);
  expect(admission).toMatchObject({ caller: { name: 'demo' }, connector: { key: want().connector }, grants });
  expect(admission.centre).toBeUndefined();
  expect(asked).toEqual([['known', origin]]);
  expect((await access.identify(want(), signal)).name).toBe('demo');
});

describe('refused is', () => {
  test.each<[string, Partial<AccessWant>, KnownCaller['may'], object]>([
    ['who has no token', { token: undefined }, () => true, { code: 'TOKEN_REQUIRED', caller: undefined }],
    ['who is nobody', { token: 'other' }, () => true, { code: 'CALLER_UNKNOWN', caller: undefined }],
    [
      'who may not',
      {},
      () => false,
      { code: 'ACCESS_DENIED', caller: 'demo', message: 'demo may not pull through it' },
    ],
    [
      'who may not, whether the connector is there or not',
      { connector: { namespace: 'demo', name: 'absent' } },
      async () => false,
      { code: 'ACCESS_DENIED' },
    ],
    ['an absent one', { connector: { namespace: 'x', name: 'y' } }, () => true, { code: 'CONNECTOR_UNKNOWN' }],
    ['a broken one', { connector: { namespace: 'demo', name: 'broken' } }, () => true, { code: 'CONNECTOR_UNUSABLE' }],
  ])('%s', async (_what, more, may, error) => {
    await expect(arrange(may).access.admit(want(more), signal)).rejects.toMatchObject(error);
  });
});

test('what is wanted is told apart in keys, and no token is in them', () => {
  const keys = [
    admissionKey('digest', want()),
    admissionKey('other', want()),
    admissionKey('digest', want({ repository: 'team/other' })),
    admissionKey('digest', want({ action: 'push' })),
    admissionKey('digest', want({ connector: { namespace: 'demo', name: 'other' } })),
    admissionKey('digest', want({ connector: { namespace: 'other', name: 'harbor' } })),
  ];
  expect(new Set(keys).size).toBe(keys.length);
  expect(keys.join()).not.toContain('known');
});
