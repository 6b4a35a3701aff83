"""Writes the graphs of layers, losses, metrics, schedules, clipping and moving averages as TensorFlow 1's
functions make them, one line a node, for tests/data/training_graphs.txt (which holds those that
src/train/*_graphs_test.cpp names): training_graphs.py OUT."""
import os
import sys
import warnings
os.environ["TF_CPP_MIN_LOG_LEVEL"]="3"; os.environ["CUDA_VISIBLE_DEVICES"]=""
warnings.filterwarnings("ignore")
import tensorflow as tf2
tf=tf2.compat.v1
tf.disable_v2_behavior()
tf.logging.set_verbosity(tf.logging.ERROR)
L=tf.layers
def line(op):
    s="%s %s"%(op.name,op.type)
    for i in op.inputs:
        n=i.name
        s+=" "+(n[:-2] if n.endswith(":0") else n)
    for c in sorted(c.name for c in op.control_inputs): s+=" ^"+c
    try:
        s+=" @"+op.get_attr("_class")[0].decode()[5:]
    except ValueError: pass
    return s
def shape(t): 
    return "?" if t.shape.rank is None else "["+",".join("?" if d is None else str(d) for d in t.shape.as_list())+"]"
out=[]
def case(title, build, resource=False):
    (tf.enable_resource_variables if resource else tf.disable_resource_variables)()
    with tf.Graph().as_default() as g:
        tf.keras.backend.reset_uids()
        r=build()
        out.append("== "+title)
        out.extend(line(o) for o in g.get_operations())
        for k in sorted(k for k in g.get_all_collection_keys() if isinstance(k,str) and not k.startswith("__") and k not in ("cond_context","while_context")):
            names=[getattr(i,"name",str(i)) for i in g.get_collection(k)]
            if names:
                out.append("# %s: %s"%(k," ".join(names)))
        if not isinstance(r,(list,tuple)): r=[r]
        out.append("# results: "+" ".join("%s%s"%(t.name,shape(t)) for t in r if isinstance(t,tf.Tensor)))
P=lambda *s,name="x",dtype=tf.float32: tf.placeholder(dtype,s,name=name)
L2=lambda s:(lambda w: s*tf.nn.l2_loss(w))
Z=tf.zeros_initializer()
def layers():
    for res in (False,True):
        t=" resource" if res else ""
        C=lambda n,b: case(n+t,b,res)
        C("dense",lambda: L.dense(P(None,4),3))
        C("dense relu regularized",lambda: L.dense(P(None,4),3,activation=tf.nn.relu,kernel_regularizer=L2(0.1),bias_regularizer=L2(0.5),kernel_initializer=Z,name="head"))
        C("dense rank 3",lambda: L.dense(P(None,5,4),3,kernel_initializer=Z))
        C("conv2d",lambda: L.conv2d(P(None,5,4,2),3,3,2,"same",kernel_initializer=Z))
        C("batch_normalization fused training",lambda: L.batch_normalization(P(None,3,3,2),training=True))
        C("batch_normalization training",lambda: L.batch_normalization(P(None,3),training=True,momentum=0.4))
    C=case
    C("dense rank 3 known",lambda: L.dense(P(2,5,4),3,kernel_initializer=Z))
    C("dense activity",lambda: L.dense(P(2,4),3,kernel_initializer=Z,activity_regularizer=L2(0.2)))
    C("dense reuse",lambda: [L.dense(P(2,4),3,kernel_initializer=Z,name="shared",kernel_regularizer=L2(0.1)),L.dense(P(3,4,name="z"),3,name="shared",reuse=True,kernel_regularizer=L2(0.1))])
    C("two dense",lambda: [L.dense(P(2,4),3,kernel_initializer=Z,use_bias=False),L.dense(P(3,4,name="z"),3,kernel_initializer=Z,use_bias=False)])
    def scoped():
        with tf.variable_scope("net",regularizer=L2(0.3),initializer=tf.ones_initializer()):
            a=L.dense(P(2,4),3)
            return L.dense(a,2,kernel_regularizer=L2(0.1),trainable=False)
    C("dense in scope",scoped)
    C("conv1d",lambda: L.conv1d(P(None,6,2),3,3,2,kernel_initializer=Z))
    C("conv1d dilated",lambda: L.conv1d(P(1,7,2),2,3,1,"same",dilation_rate=2,kernel_initializer=Z))
    C("conv2d dilated",lambda: L.conv2d(P(1,6,5,1),2,3,1,dilation_rate=(2,1),kernel_initializer=Z))
    C("conv2d channels first",lambda: L.conv2d(P(None,2,6,5),2,3,data_format="channels_first",kernel_initializer=Z,activation=tf.nn.relu6))
    C("conv3d",lambda: L.conv3d(P(1,3,4,3,1),2,2,(1,2,1),kernel_initializer=Z))
    for p in ("same","valid"):
        C("separable_conv1d "+p,lambda: L.separable_conv1d(P(None,5,2),3,3,1,p,depth_multiplier=2,depthwise_initializer=Z,pointwise_initializer=Z))
        C("conv2d_transpose "+p,lambda: L.conv2d_transpose(P(None,3,2,2),3,3,2,p,kernel_initializer=Z))
    C("separable_conv2d",lambda: L.separable_conv2d(P(1,5,4,2),3,(3,2),2,"same",depth_multiplier=2,depthwise_initializer=Z,pointwise_initializer=Z))
    C("separable_conv2d dilated",lambda: L.separable_conv2d(P(1,5,4,2),3,2,1,"valid",dilation_rate=2,depthwise_initializer=Z,pointwise_initializer=Z,use_bias=False))
    C("conv2d_transpose unknown size",lambda: L.conv2d_transpose(P(None,None,None,2),3,(4,3),(2,1),"same",kernel_initializer=Z,use_bias=False))
    C("conv3d_transpose",lambda: L.conv3d_transpose(P(1,2,2,2,2),2,2,(1,2,2),"same",kernel_initializer=Z))
    for q in ("max","average"):
        C(q+"_pooling1d",lambda: getattr(L,q+"_pooling1d")(P(None,6,2),3,2))
        C(q+"_pooling2d",lambda: getattr(L,q+"_pooling2d")(P(None,5,6,2),(2,3),2,"same"))
        C(q+"_pooling3d",lambda: getattr(L,q+"_pooling3d")(P(1,3,4,3,2),2,2))
    C("flatten",lambda: L.flatten(P(None,3,2)))
    C("flatten rank 1",lambda: L.flatten(P(3)))
    C("flatten known batch",lambda: L.flatten(P(4,None,2)))
    C("flatten unknown",lambda: L.flatten(P(None,None,2)))
    C("batch_normalization inference",lambda: L.batch_normalization(P(None,3)))
    C("batch_normalization fused inference",lambda: L.batch_normalization(P(None,2,2,3)))
    C("batch_normalization unfused rank 4",lambda: L.batch_normalization(P(2,2,2,3),training=True,fused=False,axis=1))
    C("batch_normalization no scale",lambda: L.batch_normalization(P(2,3,2,2),scale=False,training=True,trainable=False))
    C("batch_normalization no center",lambda: L.batch_normalization(P(4,2),center=False,training=True,beta_regularizer=L2(.2),gamma_regularizer=L2(.1)))
    def bn_tensor(fused):
        t=P(name="training",dtype=tf.bool)
        return L.batch_normalization(P(2,2,2,2),training=t,fused=fused,momentum=0.7)
    C("batch_normalization training tensor",lambda: bn_tensor(True))
    C("batch_normalization training tensor unfused",lambda: bn_tensor(False))
    C("dropout",lambda: L.dropout(P(3,4),0.3,seed=17,training=True))
    C("dropout unknown batch",lambda: L.dropout(P(None,4),0.3,training=True))
    C("dropout noise shape",lambda: L.dropout(P(3,4),0.5,noise_shape=[3,1],seed=5,training=True))
    C("dropout noise shape unknown",lambda: L.dropout(P(3,4),0.5,noise_shape=[None,1],seed=5,training=True))
    C("dropout inference",lambda: L.dropout(P(3,4),0.5))
    C("dropout zero",lambda: L.dropout(P(3,4),0.0,training=True))
    C("dropout tensor",lambda: L.dropout(P(3,4),0.5,seed=3,training=P(name="training",dtype=tf.bool)))
    def emb(parts=None, **k):
        w=tf.get_variable("table",[5,3],initializer=Z,partitioner=parts)
        return tf.nn.embedding_lookup(w,P(None,dtype=tf.int32,name="ids"),**k)
    C("embedding_lookup",emb)
    C("embedding_lookup resource",emb,True)
    C("embedding_lookup max norm",lambda: emb(max_norm=1.0))
    C("embedding_lookup parts mod",lambda: emb(tf.fixed_size_partitioner(2)))
    C("embedding_lookup parts div",lambda: emb(tf.fixed_size_partitioner(2),partition_strategy="div"))
    def embs(weights=False,combiner="mean",parts=None,resource=False,**k):
        w=tf.get_variable("table",[5,3],initializer=Z,partitioner=parts)
        i=P(None,2,dtype=tf.int64,name="indices"); s=P(2,dtype=tf.int64,name="shape")
        ids=tf.SparseTensor(i,P(None,dtype=tf.int64,name="ids"),s)
        ws=tf.SparseTensor(i,P(None,name="weights"),s) if weights else None
        return tf.nn.embedding_lookup_sparse(w,ids,ws,combiner=combiner,**k)
    for c in ("mean","sum","sqrtn"):
        C("embedding_lookup_sparse "+c,lambda: embs(combiner=c))
        C("embedding_lookup_sparse weighted "+c,lambda: embs(True,combiner=c))
    C("embedding_lookup_sparse resource",lambda: embs(),True)
def losses():
    C=case
    S=tf.losses
    A=(lambda: P(None,2,name="labels"), lambda: P(None,2,name="predictions"))
    for n in ("absolute_difference","mean_squared_error","huber_loss","log_loss","hinge_loss","sigmoid_cross_entropy"):
        C(n,lambda: getattr(S,n)(A[0](),A[1]()))
    for r in ("none","weighted_sum","weighted_mean","weighted_sum_over_batch_size"):
        C("mean_squared_error "+r,lambda: S.mean_squared_error(A[0](),A[1](),weights=0.5,reduction=r))
    C("mean_squared_error zero weight",lambda: S.mean_squared_error(P(3,2,name="labels"),P(3,2,name="predictions"),weights=0.0))
    C("mean_squared_error int labels",lambda: S.mean_squared_error(P(3,2,name="labels",dtype=tf.int32),P(3,2,name="predictions",dtype=tf.float64)))
    C("mean_squared_error column weights",lambda: S.mean_squared_error(P(3,2,name="labels"),P(3,2,name="predictions"),weights=P(3,1,name="w")))
    C("mean_squared_error unknown weights",lambda: S.mean_squared_error(A[0](),A[1](),weights=P(None,1,name="w")))
    C("mean_squared_error same weights",lambda: S.mean_squared_error(P(3,2,name="labels"),P(3,2,name="predictions"),weights=P(3,2,name="w")))
    C("mean_squared_error unknown ranks",lambda: S.mean_squared_error(tf.placeholder(tf.float32,name="labels"),tf.placeholder(tf.float32,name="predictions"),weights=tf.placeholder(tf.float32,name="w")))
    C("sigmoid_cross_entropy smoothing",lambda: S.sigmoid_cross_entropy(A[0](),A[1](),label_smoothing=0.2))
    C("softmax_cross_entropy",lambda: S.softmax_cross_entropy(P(None,4,name="labels"),P(None,4,name="logits")))
    C("softmax_cross_entropy smoothing rank 3",lambda: S.softmax_cross_entropy(P(2,3,4,name="labels",dtype=tf.int32),P(2,3,4,name="logits"),label_smoothing=0.1,weights=P(2,3,name="w")))
    C("sparse_softmax_cross_entropy",lambda: S.sparse_softmax_cross_entropy(P(None,name="labels",dtype=tf.int32),P(None,4,name="logits")))
    C("sparse_softmax_cross_entropy column",lambda: S.sparse_softmax_cross_entropy(P(3,1,name="labels",dtype=tf.int64),P(3,4,name="logits"),weights=P(3,1,name="w")))
    C("sparse_softmax_cross_entropy rank 3",lambda: S.sparse_softmax_cross_entropy(P(None,3,name="labels",dtype=tf.int64),P(None,3,4,name="logits")))
    C("cosine_distance",lambda: S.cosine_distance(A[0](),A[1](),axis=1))
    C("mean_pairwise_squared_error",lambda: S.mean_pairwise_squared_error(A[0](),A[1]()))
    C("mean_pairwise_squared_error weights",lambda: S.mean_pairwise_squared_error(P(3,2,name="labels"),P(3,2,name="predictions"),weights=P(3,1,name="w")))
    C("compute_weighted_loss int",lambda: S.compute_weighted_loss(P(3,name="losses",dtype=tf.int32),0.5))
    def total():
        w=tf.get_variable("w",[2],initializer=Z,regularizer=L2(0.01))
        S.mean_squared_error(P(2,name="labels"),w)
        S.absolute_difference(P(2,name="labels2"),w,weights=0.1,scope="mine")
        return [S.get_total_loss(),S.get_total_loss(add_regularization_losses=False)]
    C("get_total_loss",total)
def metrics():
    C=case; M=tf.metrics
    i=lambda n,*s: P(*(s or (None,)),name=n,dtype=tf.int64)
    C("metrics mean",lambda: M.mean(P(None,name="values")))
    C("metrics mean weighted",lambda: M.mean(P(3,2,name="values"),P(3,name="w")))
    C("metrics accuracy",lambda: M.accuracy(i("labels"),i("predictions")))
    C("metrics accuracy cast",lambda: M.accuracy(i("labels",3,1),P(3,name="predictions"),weights=P(3,name="w")))
    C("metrics precision",lambda: M.precision(i("labels"),i("predictions")))
    C("metrics recall",lambda: M.recall(i("labels"),i("predictions"),weights=P(None,name="w")))
    C("metrics auc",lambda: M.auc(i("labels"),P(None,name="predictions"),num_thresholds=6))
    C("metrics auc PR weighted",lambda: M.auc(i("labels",3),P(3,name="predictions"),weights=P(3,name="w"),num_thresholds=4,curve="PR",summation_method="careful_interpolation"))
    C("metrics mean_squared_error",lambda: M.mean_squared_error(P(None,name="labels"),P(None,name="predictions")))
    C("metrics mean_absolute_error",lambda: M.mean_absolute_error(P(None,name="labels"),P(None,name="predictions")))
    C("metrics root_mean_squared_error",lambda: M.root_mean_squared_error(P(None,name="labels"),P(None,name="predictions")))
    C("metrics mean resource",lambda: M.mean(P(None,name="values")),True)
def schedules():
    C=case; T=tf.train
    st=lambda d=tf.int64: P(name="step",dtype=d)
    C("exponential_decay",lambda: T.exponential_decay(0.1,st(),4,0.5))
    C("exponential_decay staircase",lambda: T.exponential_decay(0.1,st(),4,0.5,staircase=True,name="rate"))
    C("exponential_decay variable",lambda: T.exponential_decay(0.1,T.get_or_create_global_step(),4,0.5))
    C("exponential_decay resource",lambda: T.exponential_decay(0.1,T.get_or_create_global_step(),4,0.5),True)
    C("natural_exp_decay",lambda: T.natural_exp_decay(0.1,st(),4,0.5))
    C("inverse_time_decay",lambda: T.inverse_time_decay(0.1,st(),4,0.5,staircase=True))
    C("polynomial_decay",lambda: T.polynomial_decay(0.1,st(),6))
    C("polynomial_decay cycle",lambda: T.polynomial_decay(0.1,st(),3,0.01,0.5,cycle=True))
    C("cosine_decay",lambda: T.cosine_decay(0.1,st(),6,0.2))
    C("cosine_decay_restarts",lambda: T.cosine_decay_restarts(0.1,st(),3))
    C("cosine_decay_restarts equal",lambda: T.cosine_decay_restarts(0.1,st(),3,t_mul=1.0,m_mul=0.5,alpha=0.1))
    C("linear_cosine_decay",lambda: T.linear_cosine_decay(0.1,st(),6))
    C("piecewise_constant",lambda: T.piecewise_constant(st(),[1,4],[1.0,0.5,0.1]))
    C("piecewise_constant resource",lambda: T.piecewise_constant(T.get_or_create_global_step(),[1,4],[1.0,0.5,0.1]),True)
    C("piecewise_constant float",lambda: T.piecewise_constant(st(tf.float32),[1.0],[1.0,0.5]))
def clipping():
    C=case
    C("clip_by_value",lambda: tf.clip_by_value(P(3,2),-1.0,1.0))
    C("clip_by_norm",lambda: tf.clip_by_norm(P(3,2),1.0))
    C("clip_by_norm axes",lambda: tf.clip_by_norm(P(3,2),1.0,[1],name="clip"))
    C("clip_by_average_norm",lambda: tf.clip_by_average_norm(P(3,2),0.5))
    C("global_norm",lambda: tf.global_norm([P(3),None,P(1,2,name="y")]))
    def gl():
        a=P(3); b=P(2,2,name="y")
        s=tf.IndexedSlices(P(None,2,name="values"),P(None,name="indices",dtype=tf.int32),tf.constant([4,2]))
        r,n=tf.clip_by_global_norm([a,None,b,s],1.5)
        return [r[0],r[2],r[3].values,n]
    C("clip_by_global_norm",gl)
    C("clip_by_global_norm given",lambda: tf.clip_by_global_norm([P(3)],1.5,use_norm=P(name="norm"))[0])
    def ema(res_tensor=False,num=False,deb=False):
        E=tf.train.ExponentialMovingAverage(0.9,num_updates=P(name="n",dtype=tf.int32) if num else None,zero_debias=deb)
        v=P(2) if res_tensor else tf.get_variable("v",[2],initializer=Z)
        op=E.apply([v])
        return [E.average(v)]
    for res in (False,True):
        t=" resource" if res else ""
        C("moving average"+t,lambda: ema(),res)
        C("moving average num_updates"+t,lambda: ema(num=True),res)
        C("moving average of tensor"+t,lambda: ema(True),res)
        C("moving average of tensor debiased"+t,lambda: ema(True,deb=True),res)
for f in (layers,losses,metrics,schedules,clipping): f()
open(sys.argv[1],"w").write("\n".join(out)+"\n")
