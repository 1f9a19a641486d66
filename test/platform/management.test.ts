import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { buildManagement } from '../../platform/management.ts';
import { createMetrics } from '../../platform/metrics.ts';

async function open(reasons: string[] = []) {
  const metrics = createMetrics();
  const server = buildManagement({ metrics, notReady: () => reasons }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const get = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } });
    return { statusCode: answer.status, type: answer.headers.get('content-type'), body: await answer.text() };
  };
  return { metrics, get };
}

test('a process is alive, and ready when nothing keeps it from being so', async () => {
  const reasons = ['starting', 'no connectors'];
  const { get } = await open(reasons);
  expect(await get('/livez')).toMatchObject({ statusCode: 200, body: 'ok\n' });
  expect(await get('/readyz')).toMatchObject({ statusCode: 503, body: 'starting\nno connectors\n' });
  reasons.length = 0;
  expect(await get('/readyz')).toMatchObject({ statusCode: 200, body: 'ok\n' });
  expect(await get('/')).toMatchObject({ statusCode: 404 });
});

test('metrics are served in the text format, each process its own', async () => {
  const [one, other] = [await open(), await open()];
  one.metrics.tokenExchanges.inc({ connector: 'demo/harbor', result: 'granted' });
  const { body, type } = await one.get('/metrics');
  expect(type).toMatch(/^text\/plain/);
  expect(body).toContain('oci_connector_token_exchanges_total{connector="demo/harbor",result="granted"} 1');
  expect((await other.get('/metrics')).body).not.toContain('demo/harbor');
});
