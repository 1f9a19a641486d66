import { expect, test } from 'vitest';
import { call } from '../support/call.ts';
import { digestOf } from '../support/digest.ts';
import * as faults from '../support/faults.ts';
import { always, arrange, both, once, type Row, sizeBytes, summaryOf, tokens, zeros } from './support/fault-row.ts';

const end = sizeBytes - 1;
const follow = { redirect: 'follow' };
const metadata = 'http://169.254.169.254/latest/meta-data/';

const withoutLength = faults.withHeaders({ 'content-length': undefined });
const rangeOf = (first: number, last: number) =>
  faults.withHeaders({ 'content-range': `bytes ${first}-${last}/${sizeBytes}` });

const brokenBodies: readonly Row[] = [
  {
    when: 'the connection is reset in the middle of a blob',
    rules: once(faults.resetAfter(1000)),
    sees: 'whole',
    registrySaw: ['GET', `GET bytes=1000-${end}`],
  },
  {
    when: 'the body of a blob is truncated',
    rules: once(faults.truncatedAfter(1000)),
    sees: 'whole',
    registrySaw: ['GET', `GET bytes=1000-${end}`],
  },
  {
    when: 'the connection is reset right behind the headers',
    rules: once(faults.resetAfter(0)),
    sees: 'whole',
    registrySaw: ['GET', `GET bytes=0-${end}`],
  },
  {
    when: 'a continued blob breaks off again and again, and goes on each time',
    rules: [{ times: 5, fault: faults.resetAfter(1000) }],
    sees: 'whole',
    registrySaw: ['GET', ...[1, 2, 3, 4, 5].map((resets) => `GET bytes=${resets * 1000}-${end}`)],
  },
  {
    when: 'a blob breaks off more often than is sensible',
    rules: always(faults.resetAfter(1000)),
    sees: 'broken',
    registrySaw: ['GET', ...[1, 2, 3, 4, 5].map((resets) => `GET bytes=${resets * 1000}-${end}`)],
  },
  {
    when: 'a continued blob brings no byte',
    rules: [...once(faults.resetAfter(1000)), ...always(faults.resetAfter(0))],
    sees: 'broken',
    registrySaw: ['GET', `GET bytes=1000-${end}`],
  },
  {
    when: 'the connection is reset before the head of a continued blob',
    rules: [...once(faults.resetAfter(1000)), ...once(faults.resetBeforeHeaders)],
    sees: 'whole',
    registrySaw: ['GET', `GET bytes=1000-${end}`, `GET bytes=1000-${end}`],
  },
  {
    when: 'the registry is unavailable for a moment when a blob is to be continued',
    rules: [...once(faults.resetAfter(1000)), ...once(faults.status(503))],
    sees: 'whole',
    registrySaw: ['GET', `GET bytes=1000-${end}`, `GET bytes=1000-${end}`],
  },
  {
    when: 'the registry is unavailable for a moment before a blob and again before its rest',
    rules: [...once(faults.status(503)), ...once(faults.resetAfter(1000)), ...once(faults.status(503))],
    sees: 'whole',
    registrySaw: ['GET', 'GET', `GET bytes=1000-${end}`, `GET bytes=1000-${end}`],
  },
  {
    when: 'the registry answers the whole instead of the rest',
    rules: [...once(faults.resetAfter(1000)), ...always(faults.withStatus(200))],
    sees: 'broken',
    registrySaw: ['GET', `GET bytes=1000-${end}`],
  },
  {
    when: 'the registry answers another range than the rest',
    rules: [...once(faults.resetAfter(1000)), ...always(rangeOf(999, end))],
    sees: 'broken',
    registrySaw: ['GET', `GET bytes=1000-${end}`],
  },
  {
    when: 'the rest is shorter than its Content-Range says',
    rules: [...once(faults.resetAfter(1000)), ...always(zeros(500))],
    sees: 'broken',
    registrySaw: ['GET', `GET bytes=1000-${end}`],
  },
  {
    when: 'the rest is longer than its Content-Range says',
    rules: [...once(faults.resetAfter(1000)), ...always(zeros(sizeBytes))],
    sees: 'broken',
    registrySaw: ['GET', `GET bytes=1000-${end}`],
  },
  {
    when: 'a blob of unknown length breaks off',
    rules: once(both(withoutLength, faults.resetAfter(1000))),
    sees: 'broken',
    registrySaw: ['GET'],
  },
  {
    when: 'a manifest asked for by its tag breaks off',
    rules: once(faults.resetAfter(10)),
    content: 'manifest',
    sees: 'broken',
    registrySaw: ['GET'],
  },
  {
    when: 'a HEAD answer promises bytes, which are none of its own',
    rules: [],
    method: 'HEAD',
    sees: { status: 200 },
    registrySaw: ['HEAD'],
  },
  {
    when: 'the body is slow',
    rules: always(faults.slowBody({ bytes: 100_000, everyMs: 50 })),
    sees: 'whole',
    registrySaw: ['GET'],
  },
  {
    when: 'the body stops coming',
    timeouts: { idleBodyMs: 500 },
    rules: once(faults.stalledAfter(1000)),
    sees: 'whole',
    registrySaw: ['GET', `GET bytes=1000-${end}`],
  },
  {
    when: 'the bytes are wrong, which clients check',
    rules: once(faults.corruptedBytes),
    sees: { status: 200 },
    registrySaw: ['GET'],
  },
  {
    when: 'the digest header is wrong, which clients check',
    rules: once(faults.wrongDigestHeader),
    sees: 'whole',
    registrySaw: ['GET'],
  },
];

const failures: readonly Row[] = [
  {
    when: 'the registry limits requests',
    rules: always(faults.tooManyRequests(7)),
    sees: { status: 429, retryAfter: '7' },
    registrySaw: ['GET'],
  },
  {
    when: 'the registry is unavailable for a moment',
    rules: once(faults.status(503)),
    sees: 'whole',
    registrySaw: ['GET', 'GET'],
  },
  ...[500, 502, 503, 504].map((status) => ({
    when: `the registry goes on answering ${status}`,
    rules: always(faults.status(status, { headers: { 'retry-after': '30' } })),
    sees: { status, retryAfter: '30' },
    registrySaw: ['GET', 'GET'],
  })),
  {
    when: 'the registry goes on answering 501, which no second attempt changes',
    rules: always(faults.status(501)),
    sees: { status: 501 },
    registrySaw: ['GET'],
  },
  {
    when: 'the registry is unavailable for a moment when it is only asked whether there is something',
    rules: once(faults.status(503)),
    method: 'HEAD',
    sees: { status: 200 },
    registrySaw: ['HEAD', 'HEAD'],
  },
  {
    when: 'the connection is reset before the headers',
    rules: once(faults.resetBeforeHeaders),
    sees: 'whole',
    registrySaw: ['GET', 'GET'],
  },
  {
    when: 'the connection is closed before the headers, as a kept-alive one may be',
    rules: once(faults.closedBeforeHeaders),
    sees: 'whole',
    registrySaw: ['GET', 'GET'],
  },
  {
    when: 'every connection is reset before the headers',
    rules: always(faults.resetBeforeHeaders),
    sees: { status: 502, reason: 'UPSTREAM_UNREACHABLE' },
    registrySaw: ['GET', 'GET'],
  },
  {
    when: 'no answer comes in time',
    timeouts: { headersMs: 300 },
    rules: always(faults.hanging),
    sees: { status: 504, reason: 'UPSTREAM_TIMEOUT' },
    registrySaw: ['GET'],
  },
  {
    when: 'the answer is not HTTP',
    rules: always(faults.malformedAnswer()),
    sees: { status: 502, reason: 'UPSTREAM_UNREACHABLE' },
    registrySaw: ['GET', 'GET'],
  },
  {
    when: 'the answer has neither a length nor chunks, so that a part would look whole',
    rules: always(faults.malformedAnswer('HTTP/1.1 200 OK\r\n\r\npart')),
    sees: { status: 502, reason: 'UPSTREAM_PROTOCOL' },
    registrySaw: ['GET'],
  },
  {
    when: 'the headers of the answer are too large',
    rules: always(faults.hugeHeaders(100_000)),
    sees: { status: 502, reason: 'UPSTREAM_UNREACHABLE' },
    registrySaw: ['GET'],
  },
];

const redirects: readonly Row[] = [
  {
    when: 'the registry sends us in a circle',
    rules: always(faults.redirectLoop),
    sees: { status: 502, reason: 'UPSTREAM_PROTOCOL' },
    registrySaw: ['GET', 'GET', 'GET', 'GET', 'GET', 'GET'],
  },
  ...[follow, {}].map((connector) => ({
    when: `the registry sends us to a metadata service (${connector === follow ? 'follow' : 'handover'})`,
    rules: always(faults.redirectedTo(metadata)),
    connector,
    sees: { status: 502, reason: 'TARGET_FORBIDDEN' },
    registrySaw: ['GET'],
  })),
  ...[follow, {}].map((connector) => ({
    when: `a public registry sends us to a private address (${connector === follow ? 'follow' : 'handover'})`,
    rules: always(faults.redirectedTo('http://10.0.0.5/bucket/blob')),
    connector,
    isPublic: true,
    sees: { status: 502, reason: 'TARGET_FORBIDDEN' },
    registrySaw: ['GET'],
  })),
  {
    when: 'a public registry sends us to a name with a private address',
    storageRules: [],
    connector: follow,
    isPublic: true,
    sees: { status: 502, reason: 'TARGET_FORBIDDEN' },
    registrySaw: ['GET'],
    storageSaw: [],
  },
  {
    when: 'the storage resets the connection in the middle of a blob',
    storageRules: once(faults.resetAfter(1000)),
    connector: follow,
    sees: 'whole',
    registrySaw: ['GET', `GET bytes=1000-${end}`],
    storageSaw: ['GET', `GET bytes=1000-${end}`],
  },
  {
    when: 'the storage resets the connection again and again, and goes on each time',
    storageRules: [{ times: 5, fault: faults.resetAfter(1000) }],
    connector: follow,
    sees: 'whole',
    registrySaw: ['GET', ...[1, 2, 3, 4, 5].map((resets) => `GET bytes=${resets * 1000}-${end}`)],
    storageSaw: ['GET', ...[1, 2, 3, 4, 5].map((resets) => `GET bytes=${resets * 1000}-${end}`)],
  },
  {
    when: 'the storage is unavailable for a moment',
    storageRules: once(faults.status(503)),
    connector: follow,
    sees: 'whole',
    registrySaw: ['GET', 'GET'],
    storageSaw: ['GET', 'GET'],
  },
  {
    when: 'the storage refuses the signature of the URL',
    storageRules: always(faults.status(403)),
    connector: follow,
    sees: { status: 502, reason: 'UPSTREAM_PROTOCOL' },
    registrySaw: ['GET'],
    storageSaw: ['GET'],
  },
];

const authentication: readonly Row[] = [
  {
    when: 'the realm is at a metadata service',
    auth: { realm: metadata },
    sees: { status: 502, reason: 'TARGET_FORBIDDEN' },
    registrySaw: [],
    tokenRequests: 0,
  },
  {
    when: 'a public registry has its realm at a private address',
    auth: { realm: 'http://10.0.0.5/token' },
    isPublic: true,
    sees: { status: 502, reason: 'TARGET_FORBIDDEN' },
    registrySaw: [],
    tokenRequests: 0,
  },
  {
    when: 'nobody listens at the realm',
    auth: { realm: 'http://127.0.0.1:1/token' },
    sees: { status: 502, reason: 'UPSTREAM_UNREACHABLE' },
    registrySaw: [],
    tokenRequests: 0,
  },
  {
    when: 'the token endpoint is unavailable',
    rules: tokens(faults.status(503, { headers: { 'retry-after': '30' } })),
    sees: { status: 502, reason: 'UPSTREAM_UNREACHABLE', retryAfter: '30' },
    registrySaw: [],
  },
  {
    when: 'the token endpoint limits requests',
    rules: tokens(faults.tooManyRequests(7)),
    sees: { status: 429, reason: 'UPSTREAM_LIMITED', retryAfter: '7' },
    registrySaw: [],
  },
  {
    when: 'the token endpoint answers without a token',
    rules: tokens(faults.status(200, { body: '{}' })),
    sees: { status: 502, reason: 'UPSTREAM_PROTOCOL' },
    registrySaw: [],
  },
  {
    when: 'the token endpoint refuses the credential',
    connector: { password: 'outdated' },
    sees: { status: 403, reason: 'CREDENTIAL_REFUSED' },
    registrySaw: [],
  },
  {
    when: 'a token has no expiry',
    auth: { tokenField: 'access_token' },
    sees: 'whole',
    registrySaw: ['GET'],
  },
  {
    when: 'the token does not give the right',
    auth: { grantAccess: () => [] },
    sees: { status: 403, reason: 'UPSTREAM_DENIED' },
    registrySaw: ['GET', 'GET'],
    tokenRequests: 2,
  },
  {
    when: 'the registry answers 403 without a challenge',
    auth: { grantAccess: () => [], lackingRightStatus: 403 },
    sees: { status: 403, reason: 'UPSTREAM_DENIED' },
    registrySaw: ['GET'],
  },
];

test.each([...brokenBodies, ...failures, ...redirects, ...authentication])('$when', async (row) => {
  const { registry, storage, proxy, path, digest } = await arrange(row);
  const found = await call(proxy.url(path), { method: row.method ?? 'GET' });
  const { sees } = row;
  if (sees === 'whole') {
    expect(found).toMatchObject({ status: 200, failure: undefined });
    expect(digestOf(found.body)).toBe(digest);
  } else if (sees === 'broken') {
    expect(found).toMatchObject({ status: 200, failure: 'ECONNRESET' });
    expect(found.body.length).toBeLessThan(sizeBytes);
    expect(await proxy.operation()).toMatchObject({ status: 200, error: 'BROKEN' });
  } else {
    expect(found).toMatchObject({ status: sees.status, failure: undefined });
    expect(found.headers['retry-after']).toBe(sees.retryAfter);
    expect(found.headers).not.toHaveProperty('www-authenticate');
    if (sees.reason !== undefined)
      expect(JSON.parse(found.body.toString()).errors[0].detail).toMatchObject({
        reason: sees.reason,
        connector: 'demo/registry',
      });
  }
  expect(registry.requests.filter(({ repository }) => repository === 'team/app').map(summaryOf)).toEqual(
    row.registrySaw,
  );
  expect(storage?.requests.map(summaryOf)).toEqual(row.storageSaw);
  expect(storage?.requests.filter(({ headers }) => headers.authorization !== undefined) ?? []).toEqual([]);
  expect(registry.tokenRequests).toHaveLength(row.tokenRequests ?? 1);
});
