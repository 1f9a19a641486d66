import { describe, expect, test } from 'vitest';
import { formatRefusal, readRefusal } from '../../platform/centre/refusal.ts';
import { ProxyError } from '../../platform/errors.ts';
import { formatGrantAnswer, grantAnswer, grantQuestion, readConnector } from '../../proxy/agent-protocol.ts';
import { connectorFor, robot, robotSecret } from '../credentials/fixtures.ts';

const connector = connectorFor('https://registry.example.com/team', robotSecret, {
  params: [
    { name: 'redirect', value: 'follow' },
    { name: 'trustedHosts', value: 'blobs.example.com' },
  ],
});
const question = { token: 'a.b.c', connector: { namespace: 'demo', name: 'harbor' }, repository: 'team/app' };

test('an answer holds the connector as the data path needs it, and nothing of its Secret', () => {
  const text = JSON.stringify(formatGrantAnswer('demo', connector, { kind: 'relay' }));
  expect(text).not.toContain(robot.password);
  expect(text).not.toContain('robot');
  const read = readConnector(grantAnswer.parse(JSON.parse(text)));
  const { key, uid, revision, address, redirect, trustedHosts } = connector;
  expect(read).toMatchObject({ key, uid, revision, address, redirect, trustedHosts, ca: undefined });
  expect(read).toMatchObject({ credentials: [], problems: [] });
  expect(Object.keys(read).sort()).toEqual(Object.keys(connector).sort());
});

test('fields of a newer version are passed over', () => {
  const answer = { ...formatGrantAnswer('demo', connector, { kind: 'anonymous' }), newer: 1 };
  expect(grantAnswer.parse(answer)).not.toHaveProperty('newer');
  expect(grantQuestion.parse({ ...question, newer: 1 })).toEqual(question);
});

describe('a question is none', () => {
  test.each<[string, object]>([
    ['without a repository', { repository: undefined }],
    ['with a repository that climbs', { repository: '../team/app' }],
    ['with a repository in capitals', { repository: 'Team/app' }],
    ['without a connector', { connector: undefined }],
    ['with a namespace that is none', { connector: { namespace: 'a/b', name: 'c' } }],
    ['with a token of a megabyte', { token: 'x'.repeat(1_000_000) }],
    ['with a refused grant of no kind', { refused: { kind: 'basic' } }],
    ['with an authorization that is empty', { refused: { kind: 'authorization', value: '', expiresAt: 1 } }],
  ])('%s', (_what, more) => {
    expect(grantQuestion.safeParse({ ...question, ...more }).success).toBe(false);
  });

  test('and what it says beyond the grant that was refused is not heard', () => {
    const refused = { kind: 'anonymous', challenge: 'Bearer realm="https://evil.example.com"' };
    expect(grantQuestion.parse({ ...question, refused, actions: ['push'] })).toEqual({
      ...question,
      refused: { kind: 'anonymous' },
    });
  });
});

test('a refusal is the same error on both sides', () => {
  const error = new ProxyError('CALLER_LIMITED', 'slowly', { headers: { 'retry-after': '1' }, caller: 'demo' });
  expect(readRefusal(JSON.parse(formatRefusal(error)))).toMatchObject({
    code: 'CALLER_LIMITED',
    message: 'slowly',
    status: 429,
    headers: { 'retry-after': '1' },
    caller: 'demo',
  });
  for (const other of [undefined, null, 'x', {}, { code: 'toString', message: '' }, { code: 'NEWER', message: '' }]) {
    expect(readRefusal(other)).toBeUndefined();
  }
});
