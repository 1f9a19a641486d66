import { afterAll, beforeAll, expect, test } from 'vitest';
import { volumePod } from './support/csi-volumes.ts';
import { productParts } from './support/product.ts';
import { requireCluster } from './support/require-cluster.ts';
import { connectorName, namespace, openScene, runs, type Scene } from './support/scene.ts';

/** The shortest that an API server gives out, in seconds. */
const tokenSeconds = 600;
const askEveryMs = 10_000;
/** Past the end of the first token, and past that of the second's first half. */
const watchMs = (tokenSeconds + 120) * 1000;

const host = `c-${connectorName}.${namespace}.svc.cluster.local`;
/** What a client in the pod does: it reads the token anew, and asks the registry by the proxy. Its last line is the token. */
const askOnce = `busybox wget -q -O - --header "Authorization: Bearer $(busybox cat /files/context.token)" \
  http://${host}/v2/private/expiry/tags/list && busybox cat /files/context.token`;

const expiryOf = (token: string): number =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).exp * 1000;

requireCluster(
  '2',
  'registry',
  ...productParts,
)('a pod that outlives its token', () => {
  let scene: Scene;

  beforeAll(async () => {
    scene = await openScene('2', { csi: { tokenSeconds } });
  }, 300_000);
  afterAll(() => scene?.close());

  test('goes on pulling, and always finds a token that is good', async () => {
    await scene.freshImage('private/expiry');
    const pod = volumePod('patient', { connectors: connectorName }, { command: ['busybox', 'sleep', '86400'] });
    await scene.apply(pod);
    await runs(scene, 'patient');
    const started = Date.now();
    const tokens = new Map<string, number>();
    const failures: string[] = [];
    let shortest = Number.POSITIVE_INFINITY;
    while (Date.now() - started < watchMs) {
      const exec = ['exec', '-n', namespace, 'patient', '--', 'busybox', 'sh', '-c', askOnce];
      const asked = await scene.cluster.tryKubectl(exec);
      const [answer = '', token = ''] = [asked.stdout.split('\n')[0], asked.stdout.trim().split('\n').at(-1)];
      if (asked.code !== 0 || !answer.includes('"private/expiry"')) failures.push(asked.stderr || asked.stdout);
      else {
        if (!tokens.has(token)) tokens.set(token, Date.now() - started);
        shortest = Math.min(shortest, expiryOf(token) - Date.now());
      }
      await new Promise((resolve) => setTimeout(resolve, askEveryMs));
    }
    process.stdout.write(
      `tokens after ${[...tokens.values()].map((ms) => (ms / 1000).toFixed(0)).join(', ')} s; never less than ${(shortest / 1000).toFixed(0)} s to live\n`,
    );
    expect(failures).toEqual([]);
    expect(tokens.size).toBeGreaterThan(1);
    expect(shortest).toBeGreaterThan(0);
    expect(Date.now()).toBeGreaterThan(expiryOf([...tokens.keys()][0] ?? ''));
  });
});
