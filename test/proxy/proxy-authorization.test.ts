import { describe, expect, test } from 'vitest';
import { formatKey } from '../../connectors/address.ts';
import { parseProxyAuthorization } from '../../proxy/proxy-authorization.ts';

const basic = (text: string) => `Basic ${btoa(text)}`;
const many = (count: number) => Array.from({ length: count }, (_, at) => `demo/c${at}`).join(',');

describe('Proxy-Authorization', () => {
  test.each([
    ['demo/harbor:t', ['demo/harbor'], 't'],
    ['demo%2Fharbor:t', ['demo/harbor'], 't'],
    ['demo%2fharbor%2cteam%2Fquay:t', ['demo/harbor', 'team/quay'], 't'],
    ['demo/harbor,team/quay,demo/harbor:t', ['demo/harbor', 'team/quay'], 't'],
    ['demo/harbor, team/quay:t', ['demo/harbor', 'team/quay'], 't'],
    ['demo/harbor:a:b%2F', ['demo/harbor'], 'a:b%2F'],
    [`${many(8)}:t`, many(8).split(','), 't'],
  ])('%s names connectors and a token', (text, connectors, token) => {
    for (const header of [basic(text), basic(text).replace('Basic', 'bAsIc'), `  ${basic(text)} `]) {
      const parsed = parseProxyAuthorization(header);
      if (!parsed.ok) throw new Error(parsed.reason);
      expect(parsed.authorization.connectors.map(formatKey)).toEqual(connectors);
      expect(parsed.authorization.token).toBe(token);
    }
  });

  test.each([
    [undefined, /is needed: the user name is <namespace>\/<connector>/],
    ['', /is needed/],
    ['Bearer abc', /Bearer names no connector/],
    ['Digest abc', /is not Basic/],
    ['Basic', /is not Basic/],
    ['Basic a b', /is not Basic/],
    ['Basic ä', /is not Basic/],
    [basic('demo/harbor'), /token is missing/],
    [basic('demo/harbor:'), /token is missing/],
    [basic(':t'), /with their namespaces/],
    [basic('harbor:t'), /with their namespaces/],
    [basic('demo/harbor,quay:t'), /with their namespaces/],
    [basic('demo/harbor,:t'), /with their namespaces/],
    [basic('/harbor:t'), /with their namespaces/],
    [basic('demo/:t'), /with their namespaces/],
    [basic('demo/harbor/x:t'), /with their namespaces/],
    [basic('demo%252Fharbor:t'), /with their namespaces/],
    [basic('demo/..:t'), /with their namespaces/],
    [basic('Demo/harbor:t'), /with their namespaces/],
    [basic(`${many(9)}:t`), /more than 8/],
    [basic(`demo/harbor:${'x'.repeat(30_000)}`), /too long/],
  ])('%s is refused with a reason that repeats nothing of it', (header, reason) => {
    const parsed = parseProxyAuthorization(header);
    expect(parsed).toEqual({ ok: false, reason: expect.stringMatching(reason) });
    expect(parsed).not.toEqual({ ok: false, reason: expect.stringContaining('harbor') });
  });
});
