import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { serviceAccountToken } from './proxymux.ts';
import { fingerprintOf, pemOf, type Trust, tenancyId, userId } from './trust.ts';

const region = 'eu-frankfurt-1';

/** The environment of a resource principal: values, or with a folder files. */
export async function resourceEnvironment(
  { resource }: Trust,
  token: string,
  folder: string | undefined,
): Promise<Record<string, string>> {
  const values = {
    OCI_RESOURCE_PRINCIPAL_RPST: token,
    OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM: pemOf(resource.privateKey),
  };
  const set = folder === undefined ? values : await filesOf(folder, values);
  return { OCI_RESOURCE_PRINCIPAL_VERSION: '2.2', OCI_RESOURCE_PRINCIPAL_REGION: region, ...set };
}

/** The environment of a pod, whose token and CA are put into the folder. */
export async function workloadEnvironment(
  { cluster }: Trust,
  proxymux: string,
  folder: string,
): Promise<Record<string, string>> {
  const [host = '', port = ''] = proxymux.split(':');
  const files = await filesOf(folder, {
    OCI_KUBERNETES_SERVICE_ACCOUNT_TOKEN_PATH: `${serviceAccountToken}\n`,
    OCI_KUBERNETES_SERVICE_ACCOUNT_CERT_PATH: cluster.certificate,
  });
  return { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT_PROXYMUX: port, ...files };
}

/** Writes a configuration file with an API key, and other fields in place of what would stand there; returns its path. */
export async function userConfig(
  { user }: Trust,
  folder: string,
  fields: Readonly<Record<string, string>>,
): Promise<string> {
  const files = await filesOf(folder, { key_file: pemOf(user.privateKey) });
  const fingerprint = fingerprintOf(user.publicKey);
  const all = { tenancy: tenancyId, user: userId, fingerprint, region, ...files, ...fields };
  const lines = Object.entries(all).filter(([, value]) => value !== '');
  const path = join(folder, 'config');
  await writeFile(path, ['[DEFAULT]', ...lines.map(([name, value]) => `${name}=${value}`), ''].join('\n'));
  return path;
}

/** Puts each value into a file of its name; returns the paths. */
async function filesOf<Name extends string>(folder: string, values: Readonly<Record<Name, string>>) {
  const entries = Object.entries<string>(values).map(async ([name, value]) => {
    const path = join(folder, name);
    await writeFile(path, value, { mode: 0o600 });
    return [name, path] as const;
  });
  return Object.fromEntries(await Promise.all(entries)) as Record<Name, string>;
}
