import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { partPath } from '../real/support/find-part.ts';
import type { ProgramResult } from '../real/support/program.ts';
import { endingWithParent } from '../real/support/server-process.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import { findComponent } from './support/component-process.ts';
import { componentNames } from './support/components.ts';
import { makeBusyboxImage, writeImageArchive } from './support/image-archive.ts';
import { mustRun } from './support/machine.ts';
import { type ContainerdVersion, pauseImage } from './support/node-files.ts';
import { isRunning } from './support/process-record.ts';
import { ask, waitUntil } from './support/readiness.ts';
import { listRemains } from './support/remains.ts';
import { requireCluster } from './support/require-cluster.ts';
import { defaultSettings } from './support/settings.ts';

const image = 'localhost/test:1';
const page = 'from the server';
const clusterModule = join(import.meta.dirname, 'support/cluster.ts');

describe.each<ContainerdVersion>(['2', '1.6'])('with containerd %s', (version) => {
  requireCluster(version)('a cluster on this machine', () => testCluster(version));
});

requireCluster('2')('a cluster whose process is killed', () => {
  let starter: ChildProcess | undefined;
  let next: Cluster | undefined;

  afterAll(async () => {
    starter?.kill('SIGKILL');
    await next?.close();
  });

  test('is ended by the kernel, and the next start removes what is left of it', { timeout: 180_000 }, async () => {
    starter = await startInAnotherProcess();
    const kubeconfig = join(defaultSettings.folder, 'admin.kubeconfig');
    const kubectl = (args: readonly string[], input = '') =>
      mustRun(partPath('kubectl'), ['--kubeconfig', kubeconfig, ...args], {
        input,
        env: { HOME: defaultSettings.folder },
      });
    const paused = pod('paused', { containers: [{ name: 'main', image: pauseImage }] });
    await kubectl(['apply', '--filename=-'], JSON.stringify(paused));
    await kubectl(['wait', '--for=condition=Ready', 'pod/paused', '--timeout=50s']);
    const components = componentNames.flatMap((name) => findComponent(defaultSettings.folder, name) ?? []);
    expect(components).toHaveLength(componentNames.length);

    const ended = once(starter, 'exit');
    starter.kill('SIGKILL');
    await ended;
    await waitUntil({ what: 'its components have ended', isReady: async () => !components.some(isRunning) });
    const remains = await listRemains(defaultSettings);
    for (const kind of ['process', 'mount', 'bridge', 'cgroup', 'iptables', 'folder']) {
      expect(remains.filter((line) => line.startsWith(kind))).not.toEqual([]);
    }

    next = await startCluster();
    expect(await next.kubectl(['get', 'nodes', '--output=name'])).toBe(`node/${next.nodeName}\n`);
    await next.close();
    expect(await listRemains(defaultSettings)).toEqual([]);
  });
});

function testCluster(version: ContainerdVersion): void {
  let cluster: Cluster;
  let settingsBefore: string;
  const kubectl = (...args: string[]) => cluster.kubectl(args);
  const fetchFrom = async (pod: string, url: string) => {
    let answer: ProgramResult | undefined;
    const isReady = async () => {
      answer = await cluster.tryKubectl(['exec', pod, '--', 'timeout', '2', 'wget', '-q', '-O-', url]);
      return answer.code === 0;
    };
    await waitUntil({ what: `${url} answers ${pod}`, isReady, timeoutMs: 20_000 });
    return answer?.stdout;
  };

  beforeAll(async () => {
    settingsBefore = await readSettings();
    cluster = await startCluster({ containerd: version });
    const files = [{ path: 'www/index.html', bytes: Buffer.from(page) }];
    const kubectlProgram = { path: 'bin/kubectl', bytes: await readFile(partPath('kubectl')), mode: 0o755 };
    const archive = join(cluster.folder, 'test.tar');
    await writeImageArchive(archive, image, await makeBusyboxImage({ files: [...files, kubectlProgram] }));
    await cluster.importImage(archive);
    await cluster.kubectl(['apply', '--filename=-'], {
      input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
    });
    await kubectl('wait', '--for=condition=Ready', 'pod', '--all', '--timeout=50s');
  });

  afterAll(async () => {
    await cluster?.close();
  });

  test('runs the containerd that was asked for', async () => {
    const runtime = await kubectl(
      'get',
      'node',
      '--output=jsonpath={.items[0].status.nodeInfo.containerRuntimeVersion}',
    );
    expect(runtime).toMatch(version === '2' ? /^containerd:\/\/2\./ : /^containerd:\/\/1\.6\./);
  });

  test.each([
    ['a pod', 'client'],
    ['a pod in the network of the host', 'host-client'],
  ])('%s reaches a Service by its name in cluster DNS, and by an ExternalName', async (_, pod) => {
    expect(await fetchFrom(pod, 'http://server')).toBe(page);
    expect(await fetchFrom(pod, 'http://server.default.svc.cluster.local')).toBe(page);
    expect(await fetchFrom(pod, 'http://alias.default.svc.cluster.local')).toBe(page);
  });

  test('a pod reaches itself by its Service', async () => {
    expect(await fetchFrom('server', 'http://server')).toBe(page);
  });

  test('the host, and so the API server, reaches a Service by its address', async () => {
    const address = await kubectl('get', 'service', 'server', '--output=jsonpath={.spec.clusterIP}');
    expect(await ask(`http://${address}/`)).toEqual({ status: 200, body: page });
  });

  test('a pod asks the API server with its service account, which may do what RBAC says', async () => {
    const get = ['exec', 'client', '--', 'kubectl', 'get', '--output=name'];
    expect(await kubectl(...get, 'service/server')).toBe('service/server\n');
    expect((await cluster.tryKubectl([...get, 'secrets'])).stderr).toContain('Forbidden');
  });

  test('a name outside the cluster is what the test says it is', async () => {
    const lookUp = () => cluster.tryKubectl(['exec', 'client', '--', 'nslookup', 'registry.test']);
    expect((await lookUp()).code).not.toBe(0);
    await mustRun('sh', ['-c', `echo "${cluster.bridgeAddress} registry.test" >${cluster.paths.dnsHosts}`]);
    await waitUntil({ what: 'the name resolves', isReady: async () => (await lookUp()).code === 0, timeoutMs: 10_000 });
  });

  test('localhost is 127.0.0.1 and ::1', async () => {
    const hosts = await kubectl('exec', 'host-client', '--', 'cat', '/etc/hosts');
    expect(hosts).toMatch(/^127\.0\.0\.1.*localhost/m);
    expect(hosts).toMatch(/^::1.*localhost/m);
  });

  test.each(['kubelet', 'containerd', 'kube-apiserver', 'kube-proxy', 'coredns'] as const)(
    '%s is killed and started again: pods go on',
    async (component) => {
      const started = await kubectl(
        'get',
        'pod',
        'server',
        '--output=jsonpath={.status.containerStatuses[0].containerID}',
      );
      const pid = cluster.pid(component);
      await cluster.stop(component, { signal: 'SIGKILL' });
      expect(cluster.pid(component)).toBeUndefined();
      await cluster.start(component);
      expect(cluster.pid(component)).not.toBe(pid);
      expect(await fetchFrom('client', 'http://server')).toBe(page);
      const after = await kubectl(
        'get',
        'pod',
        'server',
        '--output=jsonpath={.status.containerStatuses[0].containerID}',
      );
      expect(after).toBe(started);
    },
  );

  test('after it is closed nothing of it is left', async () => {
    expect((await listRemains(defaultSettings)).length).toBeGreaterThan(20);
    await cluster.close();
    expect(await listRemains(defaultSettings)).toEqual([]);
    expect(await readSettings()).toEqual(settingsBefore);
  });
}

const pod = (name: string, spec: object) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name } },
  spec: { terminationGracePeriodSeconds: 0, ...spec },
});
const container = (command?: readonly string[]) => ({
  name: 'main',
  image,
  ...(command === undefined ? {} : { command }),
});

const objects = [
  pod('server', { containers: [container(['httpd', '-f', '-p', '80', '-h', '/www'])] }),
  pod('client', { containers: [container()] }),
  pod('host-client', { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet', containers: [container()] }),
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'server' },
    spec: { selector: { app: 'server' }, ports: [{ port: 80 }] },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'alias' },
    spec: { type: 'ExternalName', externalName: 'server.default.svc.cluster.local' },
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name: 'services' },
    rules: [{ apiGroups: [''], resources: ['services'], verbs: ['get'] }],
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'services' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'services' },
    subjects: [{ kind: 'ServiceAccount', name: 'default' }],
  },
];

/** What a cluster changes of the machine's own. */
async function readSettings(): Promise<string> {
  const files = ['/etc/hosts', '/proc/sys/net/ipv4/ip_forward', '/proc/sys/vm/overcommit_memory'];
  return (await Promise.all(files.map((path) => readFile(path, 'utf8')))).join();
}

async function startInAnotherProcess(): Promise<ChildProcess> {
  const program = `import { startCluster } from ${JSON.stringify(clusterModule)};
    await startCluster();
    process.stdout.write('ready\\n');
    setInterval(() => undefined, 1000);`;
  const [command = '', ...args] = endingWithParent([process.execPath, '--input-type=module', '--eval', program]);
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), once(child, 'exit')]);
  expect(line).toEqual(['ready']);
  return child;
}
