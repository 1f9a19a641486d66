import { isNamespaceName } from '../connectors/address.ts';
import type { ConfigurationWant } from '../connectors/configurations/protocol.ts';
import { printable } from '../platform/printable.ts';
import { invalidArgument } from './errors.ts';
import { readPodToken } from './pod-token.ts';
import { type Attributes, readAttributes } from './volume-attributes.ts';

/** NodePublishVolumeRequest as @grpc/proto-loader reads it; what the driver does not use is left out. */
export interface PublishRequest {
  readonly volume_id: string;
  readonly staging_target_path: string;
  readonly target_path: string;
  readonly volume_capability: {
    readonly access_type?: 'mount' | 'block';
    readonly mount?: {
      readonly fs_type: string;
      readonly mount_flags: readonly string[];
      readonly volume_mount_group: string;
    } | null;
  } | null;
  readonly readonly: boolean;
  readonly secrets: Attributes;
  readonly volume_context: Attributes;
}

/** A volume that a pod wants. */
export interface VolumeRequest {
  readonly volumeId: string;
  /** As the kubelet wrote it: not checked yet. */
  readonly targetPath: string;
  readonly namespace: string;
  /** `namespace/name`, for the log. */
  readonly pod: string;
  readonly token: string;
  readonly want: ConfigurationWant;
  /** Of the files, where the pod has an fsGroup. */
  readonly groupId: number | undefined;
}

const ephemeral = 'csi.storage.k8s.io/ephemeral';
const podNamespace = 'csi.storage.k8s.io/pod.namespace';
const podName = 'csi.storage.k8s.io/pod.name';
const volumeIdMax = 255;

/**
 * Reads what the kubelet asks for.
 * @throws CsiError, ProxyError with a message of its own for each thing that is wrong
 */
export function readVolumeRequest(request: PublishRequest): VolumeRequest {
  const { volume_context: attributes } = request;
  checkVolumeId(request.volume_id);
  if (request.target_path === '') throw invalidArgument('the target path is missing');
  checkCapability(request);
  if (attributes[ephemeral] !== 'true') {
    throw invalidArgument(
      'this driver has inline volumes only, which CSIDriver.spec.podInfoOnMount marks: use it in spec.volumes of a pod, not in a PersistentVolume',
    );
  }
  if (!request.readonly) throw invalidArgument('the volume is not read-only: set csi.readOnly: true in the pod');
  const namespace = attributes[podNamespace] ?? '';
  if (!isNamespaceName(namespace)) {
    throw invalidArgument('the kubelet does not say whose the volume is: CSIDriver.spec.podInfoOnMount has to be true');
  }
  return {
    volumeId: request.volume_id,
    targetPath: request.target_path,
    namespace,
    pod: `${namespace}/${printable(attributes[podName] ?? '', 253)}`,
    want: readAttributes(attributes, namespace),
    token: readPodToken(attributes, request.secrets),
    groupId: readGroup(request.volume_capability?.mount?.volume_mount_group ?? ''),
  };
}

export function checkVolumeId(id: string): void {
  if (id === '') throw invalidArgument('the volume id is missing');
  if (id.length > volumeIdMax) throw invalidArgument(`the volume id is longer than ${volumeIdMax} characters`);
}

function checkCapability({ volume_capability: capability }: PublishRequest): void {
  if (capability == null) throw invalidArgument('the volume capability is missing');
  if (capability.access_type === 'block') throw invalidArgument('this driver has no block volumes');
  if (capability.mount == null) throw invalidArgument('the volume capability has no access type');
  const { fs_type: fsType, mount_flags: flags } = capability.mount;
  if (fsType !== '' && fsType !== 'tmpfs') {
    throw invalidArgument(`fsType is "${printable(fsType)}": leave it out, the volume is a tmpfs`);
  }
  if (flags.length > 0) throw invalidArgument('the volume takes no mount options');
}

/** The largest is what chown takes for «leave it as it is». */
const groupMax = 4_294_967_294;

function readGroup(text: string): number | undefined {
  if (text === '') return undefined;
  const id = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (id <= groupMax) return id;
  throw invalidArgument(`the group of the volume is "${printable(text)}": it has to be a number`);
}
