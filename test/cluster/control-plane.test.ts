import { dirname } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { partPath } from '../real/support/find-part.ts';
import { requireParts } from '../real/support/parts.ts';
import { runProgram } from '../real/support/program.ts';
import { type ControlPlane, startControlPlane } from './support/control-plane.ts';

requireParts(
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kubectl',
)('a control plane without a node', () => {
  let plane: ControlPlane;

  beforeAll(async () => {
    plane = await startControlPlane({ controllers: true });
  });

  afterAll(() => plane?.stop());

  const home = () => ({ HOME: dirname(plane.kubeconfig) });
  const run = (args: readonly string[], input = '') =>
    runProgram(partPath('kubectl'), ['--kubeconfig', plane.kubeconfig, ...args], { env: home(), input });
  const kubectl = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(args);
    expect(stderr, args.join(' ')).toBe('');
    expect(code).toBe(0);
    return stdout.trim();
  };

  test('issues tokens for an audience, and reviews them', async () => {
    await kubectl('create', 'namespace', 'demo');
    await kubectl('create', 'serviceaccount', 'puller', '--namespace=demo');
    const token = await kubectl('create', 'token', 'puller', '--namespace=demo', '--audience=oci-connector');
    const review = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      metadata: { name: 'unused' },
      spec: { token, audiences: ['oci-connector'] },
    };
    const { stdout } = await run(['create', '--filename=-', '--output=json'], JSON.stringify(review));
    expect(JSON.parse(stdout).status).toMatchObject({
      authenticated: true,
      user: { username: 'system:serviceaccount:demo:puller' },
      audiences: ['oci-connector'],
    });
    const withToken = ['--server', plane.url, '--insecure-skip-tls-verify', '--token', token];
    const refused = await runProgram(partPath('kubectl'), [...withToken, 'get', 'secrets'], { env: home() });
    expect(refused.stderr).toContain('Unauthorized');
  });

  test('lets an account do only what RBAC says', async () => {
    const answer = await run(['auth', 'can-i', 'get', 'secrets', '--as=system:serviceaccount:demo:puller']);
    expect(answer.stdout.trim()).toBe('no');
  });

  test('keeps its objects while its API server is away', async () => {
    await kubectl('create', 'configmap', 'kept', '--from-literal=a=b');
    await plane.stopApiServer();
    expect((await run(['get', 'configmap', 'kept', '--request-timeout=2s'])).code).toBe(1);
    await plane.startApiServer();
    expect(await kubectl('get', 'configmap', 'kept', '--output=jsonpath={.data.a}')).toBe('b');
  });
});
