import { describe, expect, onTestFinished, test } from 'vitest';
import { openInterception } from '../../certs/interception.ts';
import { authorityMemory } from '../certs/text-memory.ts';
import { lineOf } from './support/wire-registry.ts';
import { lines, openWireScene, statusesOf, tokens } from './support/wire-scene.ts';

const proxyAs = (token: string, user = 'demo/registry') =>
  `Proxy-Authorization: Basic ${Buffer.from(`${user}:${token}`).toString('base64')}`;
const pusher = proxyAs(tokens.pusher);
const tags = '/v2/team/app/tags/list';
const lastLine = `GET ${tags}`;
const manifestPath = '/v2/team/app/manifests/v1';
const putLine = `PUT ${manifestPath} hello`;

interface Ports {
  readonly registry: number;
  readonly other: number;
}

/** Sends these bytes to a forward proxy; what the caller got, and what the registry. */
async function outcomeOf(bytesFor: (ports: Ports) => string) {
  const interception = await openInterception({ store: authorityMemory(), onError: () => {} });
  onTestFinished(() => interception.close());
  const { registry, other, exchange, wrongs } = await openWireScene(
    {},
    { forwardProxy: { certificates: interception }, idleMs: 500 },
  );
  const ports = { registry: registry.port, other: other.port };
  const answer = await exchange(bytesFor(ports));
  const last = lines(`GET http://127.0.0.1:${ports.registry}${tags} HTTP/1.1`, 'Host: x', pusher, 'Connection: close');
  expect(statusesOf(await exchange(last))).toEqual([200]);
  expect(wrongs()).toEqual([]);
  const asked = registry.requests.map(lineOf).filter((line) => !line.startsWith('HEAD'));
  asked.splice(asked.lastIndexOf(lastLine), 1);
  return { statuses: statusesOf(answer), asked, answer };
}

const absolute =
  (line: (ports: Ports) => string, ...headers: string[]) =>
  (ports: Ports) =>
    lines(`${line(ports)} HTTP/1.1`, 'Host: evil.example.com', pusher, ...headers);
const closing = 'Connection: close';

describe('a request with an absolute URL', () => {
  test('is for the host in it, whatever its Host says, and in one piece', async () => {
    const bytes = absolute(
      ({ registry }) => `PUT http://127.0.0.1:${registry}${manifestPath}`,
      closing,
      'Content-Length: 5',
    );
    expect(await outcomeOf((ports) => `${bytes(ports)}hello`)).toMatchObject({ statuses: [201], asked: [putLine] });
  });

  test.each<[form: string, line: (ports: Ports) => string]>([
    ['with userinfo', ({ registry }) => `GET http://user:pw@127.0.0.1:${registry}${tags}`],
    [
      'with another host as userinfo',
      ({ registry, other }) => `GET http://127.0.0.1:${registry}@127.0.0.1:${other}${tags}`,
    ],
    [
      'with a backslash in its host',
      ({ registry, other }) => `GET http://127.0.0.1:${other}\\@127.0.0.1:${registry}${tags}`,
    ],
    ['with an address in another spelling', ({ registry }) => `GET http://127.1:${registry}${tags}`],
    ['with an address as a number', ({ registry }) => `GET http://2130706433:${registry}${tags}`],
    ['with an encoded host', ({ registry }) => `GET http://127.0.0.%31:${registry}${tags}`],
    ['without a host', () => `GET http://${tags}`],
    ['with two ports', ({ registry, other }) => `GET http://127.0.0.1:${registry}:${other}${tags}`],
    ['of another scheme', ({ registry }) => `GET ftp://127.0.0.1:${registry}${tags}`],
    ['of https', ({ registry }) => `GET https://127.0.0.1:${registry}${tags}`],
    ['of a registry that is not named', ({ other }) => `GET http://127.0.0.1:${other}${tags}`],
    ['of metadata', () => 'GET http://169.254.169.254/latest/meta-data/'],
    ['of this proxy', () => 'GET http://localhost/v2/namespaces/demo/connectors/registry/team/app/tags/list'],
    ['with dots', ({ registry }) => `GET http://127.0.0.1:${registry}/v2/team/../../admin`],
    ['with encoded dots', ({ registry }) => `GET http://127.0.0.1:${registry}/v2/%2e%2e/team/app/tags/list`],
    ['outside of the registry API', ({ registry }) => `GET http://127.0.0.1:${registry}/token?service=x`],
    ['with a fragment', ({ registry }) => `GET http://127.0.0.1:${registry}${tags}#x`],
    ['that is none', () => 'GET *'],
    ['that names a host alone', ({ registry }) => `GET 127.0.0.1:${registry}`],
  ])('is refused, and leads nowhere: %s', async (_form, line) => {
    const { statuses, asked } = await outcomeOf(absolute(line, closing));
    expect(statuses).toHaveLength(1);
    expect(statuses[0]).toBeGreaterThanOrEqual(400);
    expect(asked).toEqual([]);
  });

  test.each<[form: string, headers: string[], body: string]>([
    ['two lengths', ['Content-Length: 5', 'Content-Length: 6'], 'hello'],
    ['a length and chunks', ['Content-Length: 5', 'Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n'],
    ['chunks that are not last', ['Transfer-Encoding: chunked, identity'], '5\r\nhello\r\n0\r\n\r\n'],
    ['a bare line feed', ['X: 1\nContent-Length: 5'], 'hello'],
  ])('that could be read in two ways is refused: %s', async (_form, headers, body) => {
    const bytes = absolute(({ registry }) => `PUT http://127.0.0.1:${registry}${manifestPath}`, ...headers);
    expect(await outcomeOf((ports) => bytes(ports) + body)).toMatchObject({ statuses: [400], asked: [] });
  });

  test('that is refused has a body that is no request', async () => {
    const bytes = (ports: Ports) => {
      const inner = absolute(({ registry }) => `DELETE http://127.0.0.1:${registry}${manifestPath}`)(ports);
      const puller = proxyAs(tokens.puller);
      const url = `http://127.0.0.1:${ports.registry}${manifestPath}`;
      return lines(`PUT ${url} HTTP/1.1`, 'Host: x', puller, `Content-Length: ${inner.length}`) + inner;
    };
    expect(await outcomeOf(bytes)).toMatchObject({ statuses: [403], asked: [] });
  });
});

describe('a tunnel', () => {
  const opened = ({ registry }: Ports, ...headers: string[]) =>
    lines(`CONNECT 127.0.0.1:${registry} HTTP/1.1`, `Host: 127.0.0.1:${registry}`, pusher, ...headers);
  const within = ({ registry }: Ports, line: string, ...headers: string[]) =>
    lines(`${line} HTTP/1.1`, `Host: 127.0.0.1:${registry}`, ...headers);

  test.each<[form: string, headers: string[]]>([
    ['alone', []],
    ['with a length', ['Content-Length: 5']],
    ['with chunks', ['Transfer-Encoding: chunked']],
    ['that wants to upgrade', ['Connection: Upgrade', 'Upgrade: websocket']],
  ])('is opened, and what follows is in it: %s', async (_form, headers) => {
    const { statuses, asked } = await outcomeOf(
      (ports) => opened(ports, ...headers) + within(ports, `GET ${tags}`, closing),
    );
    expect([statuses, asked]).toEqual([[200, 200], [lastLine]]);
  });

  test.each<[form: string, bytes: (ports: Ports) => string]>([
    ['to another host by Host', ({ other }) => lines(`GET ${tags} HTTP/1.1`, `Host: 127.0.0.1:${other}`, closing)],
    [
      'to another host by a second Host',
      (ports) =>
        within(ports, `GET ${tags}`, `Host: 127.0.0.1:${ports.other}`, 'Connection: close').replace(
          /^(.*\r\n)(Host.*\r\n)(Host.*\r\n)/,
          '$1$3$2',
        ),
    ],
    [
      'to another host by an absolute URL',
      (ports) => within(ports, `GET http://127.0.0.1:${ports.other}${tags}`, closing),
    ],
    [
      'to its own host by an absolute URL',
      (ports) => within(ports, `DELETE http://127.0.0.1:${ports.registry}${manifestPath}`, closing),
    ],
    [
      'to another connector by the path of ours',
      (ports) => within(ports, 'GET /v2/namespaces/demo/connectors/other/team/app/manifests/../v1', closing),
    ],
    ['out of the API', (ports) => within(ports, 'GET /v2/../admin', closing)],
    [
      'through another tunnel',
      (ports) => within(ports, `CONNECT 127.0.0.1:${ports.other}`, pusher) + within(ports, `DELETE ${manifestPath}`),
    ],
    [
      'with two lengths',
      (ports) => `${within(ports, `PUT ${manifestPath}`, 'Content-Length: 5', 'Content-Length: 6')}hello`,
    ],
  ])('lets nothing through that leads %s', async (_form, bytes) => {
    const { statuses, asked } = await outcomeOf((ports) => opened(ports) + bytes(ports));
    expect(statuses[0]).toBe(200);
    expect(statuses.slice(1).every((status) => status >= 400)).toBe(true);
    expect(asked).toEqual([]);
  });

  test.each<[form: string, head: (ports: Ports) => string, status: number]>([
    ['of nobody', ({ registry }) => lines(`CONNECT 127.0.0.1:${registry} HTTP/1.1`, 'Host: x'), 407],
    [
      'of a stranger',
      ({ registry }) => lines(`CONNECT 127.0.0.1:${registry} HTTP/1.1`, 'Host: x', proxyAs('stranger')),
      407,
    ],
    ['to a host of no connector', () => lines('CONNECT 127.0.0.1:1 HTTP/1.1', 'Host: x', pusher), 403],
    ['to metadata', () => lines('CONNECT 169.254.169.254:80 HTTP/1.1', 'Host: x', pusher), 403],
    ['to no host', () => lines('CONNECT / HTTP/1.1', 'Host: x', pusher), 400],
    [
      'to a host with userinfo',
      ({ registry }) => lines(`CONNECT x@127.0.0.1:${registry} HTTP/1.1`, 'Host: x', pusher),
      400,
    ],
    ['to a URL', ({ registry }) => lines(`CONNECT http://127.0.0.1:${registry}/ HTTP/1.1`, 'Host: x', pusher), 400],
  ])('%s is refused, and nothing behind it is read', async (_form, head, status) => {
    const { statuses, asked } = await outcomeOf(
      (ports) => head(ports) + absolute(({ registry }) => `DELETE http://127.0.0.1:${registry}${manifestPath}`)(ports),
    );
    expect([statuses, asked]).toEqual([[status], []]);
  });
});
