import { expect, onTestFinished, test } from 'vitest';
import { buildManagement } from '../../platform/management.ts';
import { createMetrics } from '../../platform/metrics.ts';

function open(reasons: string[] = []) {
  const metrics = createMetrics();
  const app = buildManagement({ metrics, notReady: () => reasons });
  onTestFinished(() => app.close());
  return { metrics, get: async (url: string) => app.inject(url) };
}

test('a process is alive, and ready when nothing keeps it from being so', async () => {
  const reasons = ['starting', 'no connectors'];
  const { get } = open(reasons);
  expect(await get('/livez')).toMatchObject({ statusCode: 200, body: 'ok\n' });
  expect(await get('/readyz')).toMatchObject({ statusCode: 503, body: 'starting\nno connectors\n' });
  reasons.length = 0;
  expect(await get('/readyz')).toMatchObject({ statusCode: 200, body: 'ok\n' });
  expect(await get('/')).toMatchObject({ statusCode: 404 });
});

test('metrics are served in the text format, each process its own', async () => {
  const [one, other] = [open(), open()];
  one.metrics.tokenExchanges.inc({ connector: 'demo/harbor', result: 'granted' });
  const { body, headers } = await one.get('/metrics');
  expect(headers['content-type']).toMatch(/^text\/plain/);
  expect(body).toContain('oci_connector_token_exchanges_total{connector="demo/harbor",result="granted"} 1');
  expect((await other.get('/metrics')).body).not.toContain('demo/harbor');
});
