import type { AskedPlace } from "./ask.ts";

/** An AWS region's STS, and the partition that its answers must be of. */
export type StsPlace = AskedPlace & { readonly partition: string };
export type StsPlaces = ReadonlyMap<string, StsPlace>;

/** What hosts of a partition end in, and its regions: a host that a proof names is looked up here, never made from what was sent. */
const PARTITIONS = {
  aws: {
    domain: "amazonaws.com",
    regions:
      "af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 ap-southeast-2 " +
      "ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 ca-central-1 ca-west-1 eu-central-1 eu-central-2 eu-north-1 " +
      "eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 me-south-1 mx-central-1 sa-east-1 us-east-1 us-east-2 " +
      "us-west-1 us-west-2",
  },
  "aws-us-gov": { domain: "amazonaws.com", regions: "us-gov-east-1 us-gov-west-1" },
  "aws-cn": { domain: "amazonaws.com.cn", regions: "cn-north-1 cn-northwest-1" },
  "aws-eusc": { domain: "amazonaws.eu", regions: "eusc-de-east-1" },
} as const;

export const STS_PLACES: StsPlaces = new Map(
  Object.entries(PARTITIONS).flatMap(([partition, { domain, regions }]) =>
    regions.split(" ").map((region): [string, StsPlace] => {
      const host = `sts.${region}.${domain}`;
      return [region, { partition, host, at: host, ca: null }];
    }),
  ),
);
