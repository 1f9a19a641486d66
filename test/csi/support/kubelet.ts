import { Client, credentials, type ServiceDefinition, type ServiceError, status } from '@grpc/grpc-js';
import { identityService, nodeService, registrationService } from '../../../csi/services.ts';

/** How a call ended: its code by name, and the message or the answer. */
export interface CallResult {
  readonly code: string;
  readonly message: string;
  readonly answer: Readonly<Record<string, unknown>>;
}

export interface KubeletClient {
  call(method: string, request: object, options?: { readonly timeoutMs?: number }): Promise<CallResult>;
  close(): void;
}

/** Calls a socket as the kubelet does: with a connection, a deadline and no retries. */
export function connectTo(socketPath: string): KubeletClient {
  const client = new Client(`unix:${socketPath}`, credentials.createInsecure());
  const services: readonly ServiceDefinition[] = [identityService, nodeService, registrationService];
  return {
    call: (method, request, { timeoutMs = 20_000 } = {}) => {
      const definition = services.map((service) => service[method]).find((found) => found !== undefined);
      if (definition === undefined) throw new Error(`no such method: ${method}`);
      return new Promise((resolve) => {
        const onAnswer = (error: ServiceError | null, answer: unknown): void =>
          resolve({
            code: status[error?.code ?? status.OK] ?? '',
            message: error?.details ?? '',
            answer: (answer ?? {}) as CallResult['answer'],
          });
        client.makeUnaryRequest(
          definition.path,
          definition.requestSerialize,
          definition.responseDeserialize,
          request,
          { deadline: Date.now() + timeoutMs },
          onAnswer,
        );
      });
    },
    close: () => client.close(),
  };
}

export interface PublishOptions {
  readonly token?: string | undefined;
  readonly tokenIn?: 'volume_context' | 'secrets';
  readonly readonly?: boolean;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly group?: string;
  readonly volumeId?: string;
  readonly namespace?: string;
  readonly pod?: string;
}

export const tokensAttribute = 'csi.storage.k8s.io/serviceAccount.tokens';

/** What the kubelet 1.35 sends for an inline volume. */
export function publishRequest(targetPath: string, options: PublishOptions = {}) {
  const { token = 'pod-token', tokenIn = 'volume_context', attributes = { connectors: 'demo/harbor' } } = options;
  const tokens = {
    [tokensAttribute]: JSON.stringify({ 'oci-connector': { token, expirationTimestamp: '2030-01-01T00:00:00Z' } }),
  };
  return {
    volume_id: options.volumeId ?? 'csi-0123456789abcdef',
    target_path: targetPath,
    volume_capability: {
      mount: { fs_type: '', mount_flags: [] as string[], volume_mount_group: options.group ?? '' },
      access_mode: { mode: 'SINGLE_NODE_WRITER' },
    },
    readonly: options.readonly ?? true,
    secrets: tokenIn === 'secrets' ? tokens : {},
    volume_context: {
      ...attributes,
      'csi.storage.k8s.io/ephemeral': 'true',
      'csi.storage.k8s.io/pod.name': options.pod ?? 'app',
      'csi.storage.k8s.io/pod.namespace': options.namespace ?? 'team',
      'csi.storage.k8s.io/pod.uid': '5b0e4f0c-0000-0000-0000-000000000000',
      'csi.storage.k8s.io/serviceAccount.name': 'default',
      ...(tokenIn === 'volume_context' ? tokens : {}),
    },
  };
}

export const unpublishRequest = (targetPath: string) => ({
  volume_id: 'csi-0123456789abcdef',
  target_path: targetPath,
});
