import type { Interception } from '../certs/interception.ts';
import type { OpenSealingKeys } from '../certs/sealing-keys.ts';
import type { ServingCertificate } from '../certs/serving-certificate.ts';
import { openSharedCertificate, servingNames } from '../controller/serving-certificate.ts';
import { openSharedInterception } from '../controller/shared-interception.ts';
import { openSharedSealingKeys } from '../controller/shared-sealing-keys.ts';
import type { KubernetesClient } from '../platform/kubernetes/client.ts';
import type { Logger } from '../platform/logger.ts';
import type { ControllerSettings } from './controller-settings.ts';

/** What all replicas have in common, in Secrets of the product's namespace. */
export interface SharedKeys {
  /** What the API server and the agents meet. */
  readonly certificate: ServingCertificate;
  /** Signs what clients in pods meet. */
  readonly interception: Interception;
  /** Seal the addresses of uploads. */
  readonly sealing: OpenSealingKeys;
}

export async function openSharedKeys(
  settings: ControllerSettings,
  client: KubernetesClient,
  log: Logger,
  parts: AsyncDisposableStack,
): Promise<SharedKeys> {
  const { namespace, clusterDomain, webhookService, agentsService, webhookNames } = settings;
  const services = [webhookService, agentsService];
  const onError = (message: string) => (err: unknown) => log.error({ err }, message);
  const certificate = await openSharedCertificate({
    client,
    namespace,
    names: servingNames({ namespace, clusterDomain, services, extra: webhookNames }),
    onError: onError('the certificate could not be checked: the current one goes on'),
  });
  parts.defer(() => certificate.close());
  const interception = await openSharedInterception({
    client,
    namespace,
    onError: onError('the authority for clients could not be checked: the current one goes on'),
  });
  parts.defer(() => interception.close());
  const sealing = await openSharedSealingKeys({
    client,
    namespace,
    onError: onError('the keys for uploads could not be checked: the current ones go on'),
  });
  parts.defer(() => sealing.close());
  return { certificate, interception, sealing };
}
