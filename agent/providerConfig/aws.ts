import { z } from "zod";
import { partitionOf } from "../../policy/permissions/aws/arn.ts";
import { LOOPBACK, Origin, type ProviderConfig } from "./fields.ts";

/** The metadata service of the machine's own host, link-local and plain by its nature. */
const METADATA = "http://169.254.169.254";
const Endpoint = Origin.optional();

export const AwsConfig = z
  .strictObject({
    account: z.string().regex(/^\d{12}$/, 'an account of 12 digits, in quotes: "111122223333"'),
    /** The role's name without its path: what runs under it says the name alone. */
    role: z.string().regex(/^[\w+=,.@-]{1,64}$/, "the role's name, without its path and not its ARN"),
    region: z.string().regex(/^(?!us-iso|eu-iso)(?:[a-z]{2}|eusc)(?:-[a-z]+)+-\d$/, "a region such as eu-west-1"),
    partition: z.enum(["aws", "aws-us-gov", "aws-cn", "aws-eusc"]),
    /** Private endpoints; what is left out is AWS's own public one of the region. */
    endpoints: z
      .strictObject({
        autoscaling: Endpoint,
        /** Asked by a deploy alone. */
        ec2: Endpoint,
        "acm-pca": Endpoint,
        route53: Endpoint,
        sts: Endpoint,
        /** Asked by `doctor` alone, and only where it stands here: what IAM's simulator says of the changes. */
        iam: Endpoint,
        metadata: z
          .string()
          .refine((text) => text === METADATA || LOOPBACK.test(text), `${METADATA} or http://127.0.0.1:PORT`)
          .default(METADATA),
      })
      .prefault({}),
  })
  .superRefine((aws, context) => {
    const of = partitionOf(aws.region);
    if (of === aws.partition) return;
    context.addIssue({ code: "custom", path: ["partition"], message: `${aws.region} is in the partition ${of}` });
  });
export type AwsConfig = z.infer<typeof AwsConfig>;

const FIELD = AwsConfig.optional();

export const aws: ProviderConfig<typeof FIELD> = {
  field: FIELD,
  place: ({ account, region }) => ({ cloud: "aws", account, region }),
};
