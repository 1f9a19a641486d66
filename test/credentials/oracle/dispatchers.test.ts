import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { failureOf, keepConsole, open, patience, start } from './fixtures.ts';

keepConsole();

/** An HTTP proxy that answers 403 itself, whatever it is asked to pass on; and what that was. */
async function startProxy() {
  const asked: (string | undefined)[] = [];
  const authorizations: (string | undefined)[] = [];
  const server = createServer(({ url, headers }, response) => {
    asked.push(url);
    authorizations.push(headers['proxy-authorization']);
    response.writeHead(403).end();
  });
  server.on('connect', ({ url }, socket) => {
    asked.push(url);
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as AddressInfo).port, asked, authorizations };
}

test('registries are reached by the proxy of the environment, the metadata service never', async () => {
  const cloud = await start();
  const { port, asked, authorizations } = await startProxy();
  const environment = { HTTP_PROXY: `http://user:proxy-canary@127.0.0.1:${port}` };
  const oracle = open(cloud, { environment });
  const error = await failureOf(cloud, oracle.registryToken('registry.test:8080', patience()));
  expect(error).toMatchObject({ step: 'token', code: 'Denied' });
  expect(asked).toEqual(['http://registry.test:8080/20180419/docker/token']);
  expect(cloud.metadata.requests.length).toBeGreaterThan(0);
  expect(authorizations[0]).toBe(`Basic ${Buffer.from('user:proxy-canary').toString('base64')}`);
  expect(error.message).not.toContain('proxy-canary');

  const tunnelled = open(cloud, { environment: { HTTPS_PROXY: `127.0.0.1:${port}` }, registryProtocol: 'https' });
  const refused = await failureOf(cloud, tunnelled.registryToken('registry.test', patience()));
  expect(refused).toMatchObject({ step: 'token', isRetryable: true });
  expect(asked).toContain('registry.test:443');
});

test('NO_PROXY is kept, and a proxy that is none is told of', async () => {
  const cloud = await start();
  const { port, asked } = await startProxy();
  const environment = { http_proxy: `http://127.0.0.1:${port}`, NO_PROXY: '.invalid' };
  const direct = await failureOf(
    cloud,
    open(cloud, { environment, stepTimeoutMs: 2000 }).registryToken('a.invalid', patience()),
  );
  expect(direct).toMatchObject({ step: 'token', isRetryable: true });
  expect(asked).toEqual([]);
  const wrong = open(cloud, { environment: { HTTP_PROXY: 'ftp://proxy-canary' } });
  const error = await failureOf(cloud, wrong.registryToken('registry.test', patience()));
  expect(error).toMatchObject({ step: 'configuration', code: 'Misconfigured' });
  expect(error.message).not.toContain('canary');
});
