import { stringify } from 'yaml';
import { builtinClasses } from '../connectors/builtin-class.ts';
import { customResourceDefinitions } from '../connectors/crd.ts';
import { secretNamespacePolicy } from '../connectors/secret-namespace-policy.ts';
import { csiDescriptor } from './csi-descriptor.ts';

const header = '# Made by `npm run generate` from connectors/: change it there.\n';

/** What is made from the sources, most of it manifests of this folder: the text, by path as seen from deploy/. */
export function generatedFiles(): ReadonlyMap<string, string> {
  return new Map([
    ...customResourceDefinitions.map(
      (definition) => [`crds/${definition.metadata.name.split('.')[0]}.yaml`, toManifest([definition])] as const,
    ),
    ...builtinClasses.map((made) => [`classes/${made.metadata.name}.yaml`, toManifest([made])] as const),
    ['policies/secret-namespace.yaml', toManifest(secretNamespacePolicy)],
    ['../csi/proto/descriptor.json', csiDescriptor()],
  ]);
}

function toManifest(objects: readonly object[]): string {
  const options = { lineWidth: 120, aliasDuplicateObjects: false };
  return header + objects.map((object) => stringify(object, options)).join('---\n');
}
