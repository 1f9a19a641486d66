import { describe, expect, test } from 'vitest';
import { downstreamHeaders, upstreamHeaders } from '../../proxy/headers.ts';

const via = { via: '1.1 oci-connector' };
const ofOneHop = {
  'keep-alive': 'timeout=5',
  'proxy-authenticate': 'Basic realm="hop"',
  'proxy-authorization': 'Basic aG9wOmhvcA==',
  'proxy-connection': 'keep-alive',
  te: 'trailers',
  trailer: 'x-checksum',
  'transfer-encoding': 'chunked',
  upgrade: 'h2c',
};

describe('what a caller says', () => {
  test('goes upstream as it is where it is about the content', () => {
    const headers = {
      accept: 'application/vnd.oci.image.index.v1+json, */*;q=0.1',
      'accept-encoding': 'gzip',
      'if-modified-since': 'Thu, 01 Jan 1970 00:00:00 GMT',
      'if-none-match': 'W/"a", "b"',
      'if-range': '"sha256:0"',
      range: 'bytes=0-1, -1',
      'user-agent': 'containerd/2.1',
      'content-range': '0-9',
      'content-type': 'application/octet-stream',
      'oci-something-new': '1',
      'docker-something-new': '1',
    };
    expect(upstreamHeaders(headers)).toEqual({ ...headers, ...via });
  });

  test.each(Object.entries(ofOneHop))('does not go upstream when it is of this hop: %s', (name, value) => {
    expect(upstreamHeaders({ connection: 'keep-alive', [name]: value, accept: '*/*' })).toEqual({
      accept: '*/*',
      ...via,
    });
  });

  test.each([
    'authorization',
    'cookie',
    'content-length',
    'expect',
    'forwarded',
    'host',
    'x-forwarded',
    'x-forwarded-for',
    'x-forwarded-proto',
    'x-forwarded-something-new',
    'x-http-method',
    'x-http-method-override',
    'x-method-override',
    'x-original-url',
    'x-real-ip',
    'x-rewrite-url',
    'x-artifactory-override-base-url',
    'x-jfrog-override-base-url',
    'x-original-uri',
    'x-remote-user',
    'content_length',
    'oci_something',
    'origin',
    'referer',
  ])('does not go upstream when it is about the caller or changes the request: %s', (name) => {
    expect(upstreamHeaders({ [name]: 'value', accept: '*/*' })).toEqual({ accept: '*/*', ...via });
  });
});

test('a request that has been here before says so, and goes in circles no more than a few times', () => {
  const ours = '1.1 oci-connector';
  expect(upstreamHeaders({ via: `1.1 proxy, ${ours}` })).toEqual({ via: `${ours}, ${ours}` });
  expect(() => upstreamHeaders({ via: [ours, ours, ours, ours].join(', ') })).toThrow('has been here before');
});

describe('what a registry says', () => {
  test('goes down as it is where it is about the content', () => {
    const headers = {
      'content-length': '12',
      'content-range': 'bytes 0-11/24',
      'docker-content-digest': 'sha256:0',
      'oci-filters-applied': 'artifactType',
      'ratelimit-remaining': '99;w=21600',
      'retry-after': '7',
      'x-forwarded-for': 'is of no harm here',
    };
    expect(downstreamHeaders(headers)).toEqual(headers);
  });

  test.each(Object.entries(ofOneHop))('does not go down when it is of that hop: %s', (name, value) => {
    expect(downstreamHeaders({ connection: 'close', [name]: value, etag: '"a"' })).toEqual({ etag: '"a"' });
  });

  test.each<[string, string | string[]]>([
    ['www-authenticate', ['Bearer realm="https://auth.example.com/token"', 'Basic']],
    ['authentication-info', 'nextnonce="0"'],
    ['set-cookie', ['session=1', 'other=2']],
    ['set-cookie2', 'session=1'],
    ['strict-transport-security', 'max-age=31536000'],
    ['alt-svc', 'h3=":443"'],
  ])('does not go down when it is between us and the registry: %s', (name, value) => {
    expect(downstreamHeaders({ [name]: value, etag: '"a"' })).toEqual({ etag: '"a"' });
  });
});

test.each([
  ['x-custom', ['x-custom']],
  ['keep-alive, X-Custom', ['x-custom']],
  [' close ,x-custom,, x-other ', ['x-custom', 'x-other']],
  ['keep-alive', []],
  ['close', []],
])('Connection: %s takes the headers away that it names', (connection, names) => {
  const headers = { 'x-custom': '1', 'x-other': '2', etag: '"a"' };
  const left = Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)));
  expect(downstreamHeaders({ connection, ...headers })).toEqual(left);
  expect(upstreamHeaders({ connection: `${connection}, range`, range: 'bytes=0-' })).toEqual(via);
});
