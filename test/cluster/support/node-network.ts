import { mustRun, runIfPresent } from './machine.ts';
import { bridgeAddress, type ClusterSettings, serviceCidr } from './settings.ts';

/** Makes the bridge of the pods, with the node's address, and the way to Services from the node itself. */
export async function makeBridge(settings: ClusterSettings): Promise<void> {
  const { bridge } = settings;
  await mustRun('ip', ['link', 'add', bridge, 'type', 'bridge']);
  await mustRun('ip', ['address', 'add', `${bridgeAddress(settings)}/24`, 'dev', bridge]);
  await mustRun('ip', ['link', 'set', bridge, 'up']);
  // kube-proxy changes a Service's address on the way out, but a machine without a default route finds no way out.
  await mustRun('ip', ['route', 'add', serviceCidr(settings), 'dev', bridge]);
}

export async function removeBridge({ bridge }: ClusterSettings): Promise<void> {
  if (await hasBridge(bridge)) await runIfPresent('ip', ['link', 'delete', bridge]);
}

export async function hasBridge(bridge: string): Promise<boolean> {
  return (await runIfPresent('ip', ['-oneline', 'link', 'show', 'type', 'bridge'])).includes(` ${bridge}: `);
}

const families = ['iptables', 'ip6tables'] as const;

/** Every chain and rule that kube-proxy made, one a line. */
export async function listServiceRules(): Promise<string[]> {
  const saved = await Promise.all(families.map((family) => runIfPresent(`${family}-save`, [])));
  return saved.flatMap((text) => text.split('\n').filter(isServiceRule));
}

/** Removes kube-proxy's chains and rules; every other rule of the machine stays. */
export async function removeServiceRules(): Promise<void> {
  for (const family of families) {
    const removal = formatRemoval(await runIfPresent(`${family}-save`, []));
    if (removal !== '') await runIfPresent(`${family}-restore`, ['--noflush', '--wait'], removal);
  }
}

/** From what iptables-save prints to what iptables-restore takes: the jumps to the chains go, then the rules in them, then they. */
function formatRemoval(saved: string): string {
  const tables = saved.split(/^(?=\*)/m).filter((table) => table.startsWith('*'));
  return tables
    .map((table) => {
      const lines = table.split('\n').filter(isServiceRule);
      const chains = lines.flatMap((line) => /^:(\S+)/.exec(line)?.[1] ?? []);
      const jumps = lines.filter((line) => line.startsWith('-A ') && !line.startsWith('-A KUBE-'));
      const parts = [
        table.split('\n', 1)[0] ?? '',
        ...chains.map((chain) => `:${chain} - [0:0]`),
        ...jumps.map((jump) => jump.replace(/^-A/, '-D')),
        ...chains.map((chain) => `-X ${chain}`),
        'COMMIT',
      ];
      return lines.length === 0 ? '' : `${parts.join('\n')}\n`;
    })
    .join('');
}

function isServiceRule(line: string): boolean {
  return /^[:-].*\bKUBE-/.test(line);
}
