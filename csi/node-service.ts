import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { printable } from '../platform/printable.ts';
import { asCsiError, type CsiError, invalidArgument, StillMounted } from './errors.ts';
import { unaryCall } from './unary-call.ts';
import { checkVolumeId, type PublishRequest, readVolumeRequest, type VolumeRequest } from './volume-request.ts';
import type { PublishResult, Volumes } from './volumes.ts';

/** Told what becomes of volumes. No argument holds a token. */
export interface VolumeObserver {
  published(request: VolumeRequest, result: PublishResult): void;
  /** `pod` as the kubelet named it; the cause of an error of ours is in `error.cause`. */
  publishFailed(pod: string, connectors: string, error: CsiError): void;
  unpublished(targetPath: string): void;
  unpublishFailed(targetPath: string, error: CsiError): void;
}

export interface NodeServiceOptions {
  readonly nodeName: string;
  readonly volumes: Pick<Volumes, 'publish' | 'unpublish'>;
  readonly observer: VolumeObserver;
}

/** The Node service. */
export const nodeServiceOf = (options: NodeServiceOptions): UntypedServiceImplementation => ({
  NodePublishVolume: unaryCall((request: PublishRequest, signal) => publish(options, request, signal)),
  NodeUnpublishVolume: unaryCall((request: UnpublishRequest, signal) => unpublish(options, request, signal)),
  NodeGetCapabilities: unaryCall(() => ({ capabilities: [{ rpc: { type: 'VOLUME_MOUNT_GROUP' } }] })),
  NodeGetInfo: unaryCall(() => ({ node_id: options.nodeName })),
});

interface UnpublishRequest {
  readonly volume_id: string;
  readonly target_path: string;
}

async function publish(
  { volumes, observer }: NodeServiceOptions,
  request: PublishRequest,
  signal: AbortSignal,
): Promise<object> {
  try {
    const wanted = readVolumeRequest(request);
    observer.published(wanted, await volumes.publish(wanted, signal));
    return {};
  } catch (cause) {
    const error = asCsiError(cause);
    const reason = error instanceof StillMounted ? error.reason : error;
    observer.publishFailed(podOf(request), printable(request.volume_context['connectors'] ?? ''), reason);
    throw error;
  }
}

async function unpublish(
  { volumes, observer }: NodeServiceOptions,
  { volume_id: id, target_path: target }: UnpublishRequest,
  signal: AbortSignal,
): Promise<object> {
  try {
    checkVolumeId(id);
    if (target === '') throw invalidArgument('the target path is missing');
    await volumes.unpublish(target, signal);
    observer.unpublished(target);
    return {};
  } catch (cause) {
    const error = asCsiError(cause);
    observer.unpublishFailed(printable(target, 512), error);
    throw error;
  }
}

function podOf({ volume_context: attributes }: PublishRequest): string {
  const [namespace, name] = ['namespace', 'name'].map((part) => attributes[`csi.storage.k8s.io/pod.${part}`] ?? '');
  return printable(`${namespace}/${name}`, 320);
}
