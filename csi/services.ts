import type { ServiceDefinition } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import descriptor from './proto/descriptor.json' with { type: 'json' };

const definitions = fromJSON(descriptor as Parameters<typeof fromJSON>[0], {
  keepCase: true,
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
});

/** A service of the kubelet's protocols, as a server of @grpc/grpc-js takes it and a client is made of it. */
const serviceOf = (name: string): ServiceDefinition => definitions[name] as ServiceDefinition;

export const identityService = serviceOf('csi.v1.Identity');
export const nodeService = serviceOf('csi.v1.Node');
export const registrationService = serviceOf('pluginregistration.Registration');
