import { type PublishOptions, publishRequest, unpublishRequest } from './kubelet.ts';
import { openScene } from './scene.ts';

/** How a call that went well ends. */
export const ok = { code: 'OK', message: '' };

/** One target, in a scene of its own. */
export async function openVolume() {
  const parts = new AsyncDisposableStack();
  const scene = await openScene(parts);
  const path = await scene.target('a');
  const publish = (options: PublishOptions = {}) => scene.node.call('NodePublishVolume', publishRequest(path, options));
  const unpublish = (target = path) => scene.node.call('NodeUnpublishVolume', unpublishRequest(target));
  return { scene, path, publish, unpublish, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}
