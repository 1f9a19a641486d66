import type { KubernetesClient } from '../platform/kubernetes/client.ts';
import { startInformer } from '../platform/kubernetes/informer.ts';
import { type KubernetesObject, resources } from '../platform/kubernetes/object.ts';
import { WorkQueue } from '../platform/kubernetes/work-queue.ts';
import { type LeadingOptions, logFailures, type Reconciler, whileLeading } from './reconciler.ts';

/** New nodes are registered with it, so that no pod comes before the agent that its images are pulled through. */
export const startupTaint = 'connectors.cpaas.io/agent-not-ready';

interface Taint {
  readonly key: string;
  readonly [field: string]: unknown;
}

interface Node extends KubernetesObject {
  readonly spec?: { readonly taints?: readonly Taint[] };
}

interface AgentPod extends KubernetesObject {
  readonly spec?: { readonly nodeName?: string };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

export interface StartupTaintOptions extends LeadingOptions {
  readonly client: KubernetesClient;
  /** The product's own namespace, where the agents are. */
  readonly namespace: string;
}

const agentSelector = 'app.kubernetes.io/name=oci-connector,app.kubernetes.io/component=node';

/** Removes the startup taint from each node whose agent is ready. It is never put back: the kubelet tries again by itself. */
export function startStartupTaintReconciler(options: StartupTaintOptions): Reconciler {
  const { client, namespace, log } = options;
  const onError = (err: unknown) => log.warn({ err }, 'a watch for the startup taint broke and is started again');
  const readyNodes = new Map<string, string>();
  const parts = new AsyncDisposableStack();

  const queue = parts.use(
    new WorkQueue({
      work: removeTaint,
      onError: logFailures(log, 'the startup taint of a node cannot be removed'),
    }),
  );
  const nodes = parts.use(startInformer<Node>({ client, resource: resources.nodes, transform: slimNode, onError }));
  const selector = { namespace, labelSelector: agentSelector };
  const pods = parts.use(
    startInformer<AgentPod>({ client, resource: resources.pods, ...selector, transform: slimPod, onError }),
  );
  parts.defer(
    nodes.onChange(({ key, current }) => {
      if (current !== undefined && taintRemoval(current).length > 0) queue.add(key.name);
    }),
  );
  parts.defer(
    pods.onChange(({ key, current }) => {
      const node = current !== undefined && isReady(current) ? current.spec?.nodeName : undefined;
      if (node === undefined) return void readyNodes.delete(key.name);
      readyNodes.set(key.name, node);
      queue.add(node);
    }),
  );

  async function removeTaint(name: string, signal: AbortSignal): Promise<void> {
    const seen = nodes.get({ name });
    if (seen === undefined || taintRemoval(seen).length === 0 || !hasReadyAgent(name)) return;
    const current = await client.get<Node>(resources.nodes, { name }, { signal });
    const patch = current === undefined ? [] : taintRemoval(current);
    if (patch.length === 0) return;
    await client.patch(resources.nodes, { name }, patch, { type: 'json', signal });
    log.info({ node: name }, 'the agent is ready: startup taint removed');
  }

  /** Two agents of a node while one replaces the other, so the pods are looked through; only tainted nodes ask. */
  const hasReadyAgent = (node: string) => [...readyNodes.values()].includes(node);

  return whileLeading(options, parts);
}

function slimNode({ metadata, spec }: Node): Node {
  const { name, uid, resourceVersion } = metadata;
  const taints = spec?.taints;
  return { metadata: { name, uid, resourceVersion }, spec: taints === undefined ? {} : { taints } } as Node;
}

function slimPod({ metadata, spec, status }: AgentPod): AgentPod {
  return { metadata, spec: { nodeName: spec?.nodeName ?? '' }, status: { conditions: status?.conditions ?? [] } };
}

function isReady({ metadata, status }: AgentPod): boolean {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  return ready?.status === 'True' && metadata.deletionTimestamp === undefined;
}

/** Tests what it has seen, because others add and remove taints too, and their places move. Empty without the taint. */
export function taintRemoval({ spec }: Node) {
  const taints = spec?.taints ?? [];
  // From the end, so that what is removed moves none that is still to be removed.
  return taints
    .map((taint, i) => ({ taint, path: `/spec/taints/${i}` }))
    .filter(({ taint }) => taint.key === startupTaint)
    .reverse()
    .flatMap(({ taint, path }) => [
      { op: 'test', path, value: taint },
      { op: 'remove', path },
    ]);
}
