import { readFile } from 'node:fs/promises';

/** One line of mountinfo, as far as it is needed (proc_pid_mountinfo(5)). */
export interface Mount {
  readonly target: string;
  readonly type: string;
  readonly source: string;
}

/** Reads mountinfo. Where several mounts lie over each other, the later one is on top. */
export function parseMountInfo(text: string): readonly Mount[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.split(' ');
    // Optional fields end with a lone "-".
    const separator = fields.indexOf('-', 6);
    const [target, type, source] = [fields[4], fields[separator + 1], fields[separator + 2]];
    if (separator < 0 || target === undefined || type === undefined || source === undefined) return [];
    return [{ target: unescapeOctal(target), type, source: unescapeOctal(source) }];
  });
}

/** Space, tab, newline and backslash are written in octal, as bytes. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-3][0-7]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** All that is mounted; of what lies over each other the lowest first. */
export const allMounts = async (): Promise<readonly Mount[]> =>
  parseMountInfo(await readFile('/proc/self/mountinfo', 'utf8'));

/** What is mounted at `target`, the lowest first. */
export async function mountsAt(target: string): Promise<readonly Mount[]> {
  return (await allMounts()).filter((mount) => mount.target === target);
}
