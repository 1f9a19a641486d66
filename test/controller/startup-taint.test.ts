import { describe, expect, it, onTestFinished } from 'vitest';
import { startStartupTaintReconciler, startupTaint, taintRemoval } from '../../controller/startup-taint.ts';
import { type KubernetesObject, resources } from '../../platform/kubernetes/object.ts';
import { requireParts } from '../real/support/parts.ts';
import { productNamespace, useControlPlane } from './control-plane.ts';
import { agentPodRules, startupTaintRules } from './rules.ts';
import { log } from './silent-log.ts';

const ours = { key: startupTaint, effect: 'NoSchedule' };
const other = { key: 'example.com/dedicated', value: 'x', effect: 'NoSchedule' };

describe('the patch that removes the startup taint', () => {
  it.each([
    { rule: 'is empty without taints', taints: undefined, patch: [] },
    { rule: 'is empty without ours', taints: [other], patch: [] },
    {
      rule: 'removes ours alone, where it was seen',
      taints: [other, ours],
      patch: [
        { op: 'test', path: '/spec/taints/1', value: ours },
        { op: 'remove', path: '/spec/taints/1' },
      ],
    },
    {
      rule: 'removes it with every effect, the last first',
      taints: [ours, other, { ...ours, effect: 'NoExecute' }],
      patch: [
        { op: 'test', path: '/spec/taints/2', value: { ...ours, effect: 'NoExecute' } },
        { op: 'remove', path: '/spec/taints/2' },
        { op: 'test', path: '/spec/taints/0', value: ours },
        { op: 'remove', path: '/spec/taints/0' },
      ],
    },
  ])('$rule', ({ taints, patch }) => {
    const spec = taints === undefined ? {} : { taints };
    expect(taintRemoval({ metadata: { name: 'node' }, spec })).toEqual(patch);
  });
});

requireParts(
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
)('the startup taint of a node', () => {
  const cluster = useControlPlane({ rules: startupTaintRules, ownRules: agentPodRules });
  const agentLabels = { 'app.kubernetes.io/name': 'oci-connector', 'app.kubernetes.io/component': 'node' };
  let count = 0;

  const createNode = async () => {
    count += 1;
    const name = `node-${count}`;
    await cluster.admin.create(resources.nodes, { metadata: { name }, spec: { taints: [other, ours] } });
    return name;
  };
  const taintsOf = async (name: string) => {
    const node = await cluster.admin.get(resources.nodes, { name });
    // The API server and the node's controllers have taints of their own.
    const { taints = [] } = (node?.['spec'] ?? {}) as { taints?: { key: string }[] };
    return taints.map(({ key }) => key).filter((key) => !key.startsWith('node.kubernetes.io/'));
  };
  const createPod = async (nodeName: string, labels: Record<string, string> = agentLabels) => {
    const name = `pod-${nodeName}`;
    const containers = [{ name: 'agent', image: 'agent' }];
    const spec = { nodeName, containers, automountServiceAccountToken: false, tolerations: [{ operator: 'Exists' }] };
    await cluster.admin.create<KubernetesObject>(resources.pods, {
      metadata: { namespace: productNamespace, name, labels },
      spec,
    });
    return name;
  };
  const setReady = (name: string, isReady: boolean) =>
    cluster.admin.patch(
      resources.pods,
      { namespace: productNamespace, name },
      { status: { conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }] } },
      { subresource: 'status' },
    );
  const start = () => {
    const reconciler = startStartupTaintReconciler({
      ...{ client: cluster.client, namespace: productNamespace, signal: new AbortController().signal },
      log,
    });
    onTestFinished(() => reconciler.close());
  };

  it('goes when its agent is ready, and others stay', async () => {
    start();
    const [node, unready] = [await createNode(), await createNode()];
    await setReady(await createPod(unready), false);
    await setReady(await createPod(node), true);
    await expect.poll(() => taintsOf(node)).toEqual([other.key]);
    expect(await taintsOf(unready)).toEqual([other.key, startupTaint]);
    await setReady(`pod-${unready}`, true);
    await expect.poll(() => taintsOf(unready)).toEqual([other.key]);
  });

  it('goes where the agent was ready before the controller started', async () => {
    const node = await createNode();
    await setReady(await createPod(node), true);
    start();
    await expect.poll(() => taintsOf(node)).toEqual([other.key]);
  });

  it('goes again when the node comes back with it', async () => {
    start();
    const node = await createNode();
    await setReady(await createPod(node), true);
    await expect.poll(() => taintsOf(node)).toEqual([other.key]);
    await cluster.admin.patch(resources.nodes, { name: node }, { spec: { taints: [ours, other] } });
    await expect.poll(() => taintsOf(node)).toEqual([other.key]);
  });

  it('stays while only other pods are ready there', async () => {
    start();
    const [node, next] = [await createNode(), await createNode()];
    await setReady(await createPod(node, { 'app.kubernetes.io/component': 'node' }), true);
    await setReady(await createPod(next), true);
    await expect.poll(() => taintsOf(next)).toEqual([other.key]);
    expect(await taintsOf(node)).toEqual([other.key, startupTaint]);
  });
});
