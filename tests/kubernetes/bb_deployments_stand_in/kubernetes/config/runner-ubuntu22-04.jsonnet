local common = import 'common.libsonnet';

{ buildDirectoryPath: '/worker/build', note: common.greeting }
